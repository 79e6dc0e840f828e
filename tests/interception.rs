//! TLS that is looked into: what the parts say of it has to agree.

use remora_injector::patch::TRUST_VARIABLES;
use remora_proxy::tls::{Reader, VARIABLES};

#[test]
fn an_injected_container_has_the_variables_that_lead_to_what_the_sidecar_writes() {
    let written: Vec<_> = VARIABLES
        .iter()
        .filter(|variable| variable.reader != Reader::Beside)
        .map(|variable| {
            let value = variable.value.replace("{dir}", "/var/run/remora/ca");
            (variable.name, value)
        })
        .collect();
    let injected: Vec<_> = TRUST_VARIABLES
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    assert_eq!(injected, written);
}
