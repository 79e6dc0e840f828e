//! Other people's programs: where they are, and how they are told to serve or to pass on.
//!
//! Every proxy gets one thread and writes no log.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cell::Protocol;

/// Why something cannot run, naming the first program that is not installed.
pub fn missing(programs: &[&str]) -> Option<String> {
    let program = programs.iter().find(|program| find(program).is_none())?;
    Some(format!(
        "needs {program}: apt-get install nginx-light wrk haproxy nghttp2-client nghttp2-server"
    ))
}

/// Where Envoy is.
pub fn envoy() -> Option<PathBuf> {
    match std::env::var_os("REMORA_ENVOY") {
        Some(path) => Some(PathBuf::from(path)).filter(|path| path.exists()),
        None => find("envoy"),
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|path| path.exists())
}

/// The authority that certified the server of HTTPS.
pub fn authority(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// Makes that authority, and a certificate of `localhost` for the servers of HTTPS.
pub fn certify(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a leaf of the same name for one that signed itself.
    params.distinguished_name.push(DnType::CommonName, "bench");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(authority(folder), certificate.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("leaf.pem"), leaf.pem()).unwrap();
    fs::write(folder.join("leaf.key"), key.serialize_pem()).unwrap();
}

/// nginx from `port` to `server_port`, the same protocol on both sides.
pub fn nginx_proxy(folder: &Path, port: u16, server_port: u16, speaks: Protocol) -> Vec<String> {
    let root = folder.display();
    let (ssl, scheme, verified) = match speaks {
        Protocol::Https => (
            format!("ssl; ssl_certificate {root}/leaf.pem; ssl_certificate_key {root}/leaf.key"),
            "https",
            format!(
                "proxy_ssl_verify on; proxy_ssl_trusted_certificate {root}/ca.pem; \
                 proxy_ssl_server_name on; proxy_ssl_name localhost;"
            ),
        ),
        Protocol::Http1 | Protocol::Http2 => (String::new(), "http", String::new()),
    };
    let config = format!(
        "daemon off; master_process off; pid {root}/proxy.pid; error_log {root}/proxy.log;
         events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 100000000;
           client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
           uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
           upstream server {{ server 127.0.0.1:{server_port}; keepalive 2048; keepalive_requests 100000000; }}
           server {{ listen 127.0.0.1:{port} backlog=4096 {ssl};
             location / {{ proxy_pass {scheme}://server; proxy_http_version 1.1;
               proxy_set_header Connection ''; {verified} }} }} }}"
    );
    command(&["nginx", "-c", &written(folder, "proxy.conf", &config)])
}

/// The server of HTTP/1, and of HTTPS.
pub fn nginx(folder: &Path, port: u16, tls_port: u16) -> Vec<String> {
    let files = folder.join("http1");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("1k"), json_of(1024)).unwrap();
    fs::write(files.join("64k"), json_of(64 * 1024)).unwrap();
    let (root, files) = (folder.display(), files.display());
    let config = format!(
        "daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/nginx.log;
         events {{ worker_connections 4096; }}
         http {{ access_log off; keepalive_requests 100000000; default_type application/json;
           client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
           uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
           server {{ listen 127.0.0.1:{port} backlog=4096; root {files}; }}
           server {{ listen 127.0.0.1:{tls_port} backlog=4096 ssl; root {files};
             ssl_certificate {root}/leaf.pem; ssl_certificate_key {root}/leaf.key; }} }}"
    );
    command(&["nginx", "-c", &written(folder, "nginx.conf", &config)])
}

/// The server of HTTP/2. It answers four times as many requests as nginx does, and its header
/// compression uses the dynamic table, as services do.
pub fn nghttpd(folder: &Path, port: u16) -> Vec<String> {
    let files = folder.join("http2");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("small"), json_of(100)).unwrap();
    let (files, port) = (files.display().to_string(), port.to_string());
    command(&[
        "nghttpd",
        "--no-tls",
        "-a",
        "127.0.0.1",
        "-d",
        &files,
        &port,
    ])
}

/// HAProxy from `listen` to `upstream`, the same protocol on both sides.
pub fn haproxy(folder: &Path, listen: &str, upstream: &str, speaks: Protocol) -> Vec<String> {
    let proto = match speaks {
        Protocol::Http1 | Protocol::Https => "",
        Protocol::Http2 => "proto h2",
    };
    let config = format!(
        "global\n  nbthread 1\n  maxconn 4096\ndefaults\n  mode http\n  timeout client 1m\n  timeout server 1m\n  \
         timeout connect 5s\nlisten bench\n  bind {listen} {proto}\n  server one {upstream} {proto}\n"
    );
    let config = written(folder, "haproxy.cfg", &config);
    command(&["haproxy", "-db", "-q", "-f", &config])
}

/// Envoy from `port` to `server_port`, the same protocol on both sides.
pub fn envoy_proxy(folder: &Path, port: u16, server_port: u16, speaks: Protocol) -> Vec<String> {
    let (codec, options) = match speaks {
        Protocol::Http1 | Protocol::Https => ("HTTP1", "http_protocol_options"),
        Protocol::Http2 => ("HTTP2", "http2_protocol_options"),
    };
    let (near, far) = match speaks {
        Protocol::Https => envoy_tls(folder),
        Protocol::Http1 | Protocol::Http2 => Default::default(),
    };
    let config = include_str!("envoy.yaml")
        .replace("{port}", &port.to_string())
        .replace("{server_port}", &server_port.to_string())
        .replace("{codec}", codec)
        .replace("{options}", options)
        .replace("{listener_tls}", &near)
        .replace("{cluster_tls}", &far);
    let config = written(folder, "envoy.yaml", &config);
    let envoy = envoy().unwrap().display().to_string();
    command(&[
        &envoy,
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "error",
        "-c",
        &config,
    ])
}

/// TLS of Envoy towards its clients and its servers, as YAML in one line each.
fn envoy_tls(folder: &Path) -> (String, String) {
    const TLS: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
    let root = folder.display();
    let near = format!(
        "transport_socket: {{ name: tls, typed_config: {{ \"@type\": {TLS}.DownstreamTlsContext, \
         common_tls_context: {{ tls_certificates: [{{ certificate_chain: {{ filename: {root}/leaf.pem }}, \
         private_key: {{ filename: {root}/leaf.key }} }}] }} }} }}"
    );
    let far = format!(
        "transport_socket: {{ name: tls, typed_config: {{ \"@type\": {TLS}.UpstreamTlsContext, sni: localhost, \
         common_tls_context: {{ validation_context: {{ trusted_ca: {{ filename: {root}/ca.pem }} }} }} }} }}"
    );
    (near, far)
}

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn written(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

/// JSON of `bytes` bytes with words and numbers as APIs send them.
fn json_of(bytes: usize) -> String {
    let mut text = String::from("[");
    let mut row = 0;
    while text.len() < bytes - 80 {
        text.push_str(&format!(
            "{{\"id\":{row},\"name\":\"item {row}\",\"price\":{}.99,\"stock\":true}},",
            row % 97
        ));
        row += 1;
    }
    text.push_str("{}]");
    text.extend(std::iter::repeat_n(' ', bytes - text.len()));
    text
}
