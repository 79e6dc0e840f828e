//! Prompts: what a person starts with one command, in five steps that name the tools (pure).
//!
//! What MCP is made of is left to `mcp`.

use remora_store::filter::nearest;

use crate::params::quoted;
use crate::tools::text;

/// Longest free text that is taken from a person.
const FREE_TEXT_BYTES: usize = 500;
/// Longest route that is taken.
const ROUTE_BYTES: usize = 200;

/// A prompt as it is listed.
#[derive(Debug)]
pub struct Prompt {
    /// Its name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What comes of it.
    pub description: &'static str,
    /// What it takes; all of it is needed.
    pub arguments: &'static [Argument],
    /// Its text, with `{name}` where an argument goes.
    template: &'static str,
}

/// What a prompt takes.
#[derive(Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub description: &'static str,
    kind: Kind,
}

/// What may be in an argument.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A name of Kubernetes.
    Name,
    /// A path with `{id}` for what varies.
    Route,
    /// Words of the person who asks.
    Words,
}

const fn named(name: &'static str, description: &'static str) -> Argument {
    Argument {
        name,
        description,
        kind: Kind::Name,
    }
}

const fn routed(name: &'static str, description: &'static str) -> Argument {
    Argument {
        name,
        description,
        kind: Kind::Route,
    }
}

const fn worded(name: &'static str, description: &'static str) -> Argument {
    Argument {
        name,
        description,
        kind: Kind::Words,
    }
}

/// Every prompt, by name.
pub const PROMPTS: &[Prompt] = &[
    Prompt {
        name: "audit_token_flow",
        title: "Where do secrets go?",
        description: "Follows bearer tokens, cookies and keys from service to service by their tags.",
        arguments: &[named("namespace", "Namespace to look at")],
        template: "\
Find out which secrets travel between the workloads of namespace {namespace}, and where one is passed on that should not be.
1. recorder_status(namespace=\"{namespace}\"): which workloads are recorded, and what is not seen.
2. traffic_summary(snapshot=\"live:1h\", filter={\"namespace\":\"{namespace}\"}, group_by=[\"edge\"]): who calls whom.
3. calls_search(snapshot=\"live:1h\", filter={\"namespace\":\"{namespace}\",\"header\":\"authorization\"}) and the same with \"cookie\": one call of each edge.
4. call_tree(call_id=one of them) for the chain that it is part of, then call_get(call_ids=[up to 3 ids of the chain], parts=[\"headers\"]): secrets are shown as tags such as [redacted bearer #7k2m9x4p1q]; the same tag means the same secret.
5. Report each tag with the edges it was seen on and the call ids; say which hops leave the namespace, and what was not recorded.",
    },
    Prompt {
        name: "compare_deploys",
        title: "Did the new revision change anything?",
        description: "Sets the traffic of two revisions of a workload side by side.",
        arguments: &[named("workload", "Workload that was deployed")],
        template: "\
Compare the revisions of workload {workload} by what they did on the wire.
1. recorder_status(): is {workload} recorded, and what is not seen.
2. snapshot_start(name=\"revisions of {workload}\", since=\"-2h\"), exercise the newer revision where it was hardly asked yet, then snapshot_wait(snapshot=its id, filter={\"dst\":\"{workload}\"}), again until it says settled.
3. compare(base=\"{workload}@older revision\", head=\"{workload}@newer revision\", snapshot=its id): what is new, gone, slower, fails more or has other headers, as far as it is not chance; traffic_summary(snapshot=its id, group_by=[\"revision\",\"route\"]) names the revisions.
4. calls_search(snapshot=its id, filter={\"dst\":\"{workload}\",\"revision\":the newer one}) on each route whose errors, latency or counts differ, then call_get(call_ids=[one of each revision]).
5. Report per route: calls, error share, p50 and p95 of both revisions, with call ids. A handful of calls is no basis for a difference in latency: say so.",
    },
    Prompt {
        name: "verify_cache",
        title: "Does the cache work?",
        description: "Whether repeated requests are answered from a cache, and why not.",
        arguments: &[
            named("service", "Service that should cache"),
            routed("route", "Route that is asked repeatedly, such as /api/orders/{id}"),
        ],
        template: "\
Find out whether {service} answers repeated requests to {route} from a cache.
1. recorder_status(): is {service} recorded on both sides, and what is not seen.
2. snapshot_start(name=\"cache of {service}\"), have the same request to {route} sent several times, or ask the user to, then snapshot_wait(snapshot=its id, filter={\"dst\":\"{service}\",\"route\":\"{route}\"}), again until it says settled.
3. traffic_summary(snapshot=its id, filter={\"dst\":\"{service}\",\"route\":\"{route}\"}), and traffic_summary(snapshot=its id, filter={\"src\":\"{service}\"}, group_by=[\"edge\",\"route\"]): as many calls behind {service} as before it mean that nothing was cached.
4. calls_search(snapshot=its id, filter={\"dst\":\"{service}\",\"route\":\"{route}\"}, order=\"oldest\"), then call_get of the first and of a later call: Cache-Control, ETag, Age, Vary, status 304, latency.
5. Report requests, calls behind them, cold and warm latency, the headers that are missing, with call ids. Nothing recorded is not proof of a hit: read the blind spots that snapshot_wait told.",
    },
    Prompt {
        name: "verify_change",
        title: "Does my change do what it should?",
        description: "Exercises a service after a change and checks what it did on the wire.",
        arguments: &[
            named("service", "Service that was changed"),
            worded("what_changed", "What was changed, and what should be different now"),
        ],
        template: "\
Check on the wire what this change to {service} does: {what_changed}
1. recorder_status(): is {service} recorded, and what is not seen.
2. traffic_summary(snapshot=\"live:15m\", filter={\"dst\":\"{service}\"}) and the same with src: how it behaved before.
3. Deploy the change, snapshot_start(name=\"{service} changed\"), exercise it with the project's own tests or with requests, then snapshot_wait(snapshot=its id, filter={\"dst\":\"{service}\"}), again until it says settled, and traffic_summary(snapshot=its id) as before.
4. verify(snapshot=its id, expectations=[what the change should do]), find_issues(snapshot=its id), then call_get(call_ids=[the evidence]): status, headers, bodies, order and time between calls.
5. Say what was expected and what was seen, each with call ids; mend what is wrong and begin again at step 3 with another snapshot. Nothing recorded means inconclusive, not passed.",
    },
    Prompt {
        name: "verify_retries",
        title: "Does the retry policy work?",
        description: "Measures attempts and the delays between them.",
        arguments: &[
            named("src", "Caller, which retries"),
            named("dst", "Callee, which fails"),
            worded("policy", "The policy, such as: 3 retries after 1 s, 2 s and 4 s"),
        ],
        template: "\
Check whether {src} retries its calls to {dst} by this policy: {policy}
1. recorder_status(): is {src} recorded, and what is not seen.
2. snapshot_start(name=\"retries of {src}\"), have {dst} fail while {src} calls it: fault_start(workload=\"{src}\", filter={\"dst\":\"{dst}\"}, effect={\"status\":503}, first=as many as the policy retries), or where faults are not allowed ask the user to; then snapshot_wait(snapshot=its id, filter={\"src\":\"{src}\",\"dst\":\"{dst}\"}, idle_ms=longer than the longest delay of the policy, at most 30000), again until it says settled.
3. check(kind=\"retries\", snapshot=its id, filter={\"src\":\"{src}\",\"dst\":\"{dst}\"}, args={\"expect_retries\":…, \"expect_delays_ms\":[…]} or {\"expect_backoff\":{\"base_ms\":…,\"factor\":…}} as the policy says): attempts, delays and the factor between them, judged.
4. call_get(call_ids=[the evidence], parts=[\"headers\",\"timing\"]) shows Retry-After and when each part passed; find_issues(snapshot=its id, checks=[\"retries\"]) tells of the rest.
5. Report attempts, each delay, the factor between delays, and expected against actual, with call ids. No failed attempt recorded means inconclusive, not passed.",
    },
];

/// Writes a prompt.
///
/// # Errors
///
/// There is none of that name, or an argument is missing, unknown or not made as it should be; the
/// message says which.
pub fn write<'a>(
    name: &str,
    given: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(&'static Prompt, String), String> {
    let Some(prompt) = find(name) else {
        let names: Vec<&str> = PROMPTS.iter().map(|prompt| prompt.name).collect();
        return Err(format!(
            "there is no prompt {}; the prompts are {}",
            quoted(name),
            names.join(", ")
        ));
    };
    let mut written = prompt.template.to_owned();
    let mut values = Vec::new();
    for (name, value) in given {
        let known = prompt.arguments.iter().map(|argument| argument.name);
        let Some(argument) = prompt
            .arguments
            .iter()
            .find(|argument| argument.name == name)
        else {
            let near = nearest(name, known.clone()).map_or_else(
                || format!("it takes {}", known.clone().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean {near}?"),
            );
            return Err(format!(
                "{} has no argument {}: {near}",
                prompt.name,
                quoted(name)
            ));
        };
        values.push((argument.name, argument.read(value)?));
    }
    for argument in prompt.arguments {
        let value = values.iter().find(|(name, _)| *name == argument.name);
        let Some((_, value)) = value else {
            return Err(format!(
                "{} needs {}: {}",
                prompt.name, argument.name, argument.description
            ));
        };
        written = fill(&written, argument.name, value);
    }
    Ok((prompt, written))
}

/// The prompt of a name.
pub fn find(name: &str) -> Option<&'static Prompt> {
    PROMPTS.iter().find(|prompt| prompt.name == name)
}

/// Puts a value where its name stands. What was put in before is not looked at again: every argument
/// but words of the user is made of characters that no placeholder has, and words come last.
fn fill(template: &str, name: &str, value: &str) -> String {
    template.replace(&format!("{{{name}}}"), value)
}

impl Argument {
    fn read(&self, value: &str) -> Result<String, String> {
        let name = self.name;
        match self.kind {
            Kind::Name => text::name(value).map(str::to_owned).ok_or_else(|| {
                format!(
                    "{name} is {}; it takes a name of letters, digits, dots and dashes",
                    quoted(value)
                )
            }),
            Kind::Route
                if value.starts_with('/')
                    && value.len() <= ROUTE_BYTES
                    && text::route(value) == value =>
            {
                Ok(value.to_owned())
            }
            Kind::Route => Err(format!(
                "{name} is {}; it takes a path such as /api/orders/{{id}}",
                quoted(value)
            )),
            Kind::Words => {
                let words = text::clean(value).replace(['\n', '\t'], " ");
                Ok(text::cut(words.trim(), FREE_TEXT_BYTES))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::tools;

    fn sample(argument: &Argument) -> (&'static str, &'static str) {
        let value = match argument.kind {
            Kind::Name => "orders",
            Kind::Route => "/api/orders/{id}",
            Kind::Words => "retries after {src} 1 s, 2 s",
        };
        (argument.name, value)
    }

    #[test]
    fn every_prompt_has_five_steps_and_names_only_tools_that_exist() {
        let tools: Vec<&str> = tools::definitions().iter().map(|tool| tool.name).collect();
        for prompt in PROMPTS {
            let (_, text) = write(prompt.name, prompt.arguments.iter().map(sample)).unwrap();
            let steps: Vec<&str> = text.lines().skip(1).collect();
            assert_eq!(steps.len(), 5, "{text}");
            let mut named = 0;
            for (number, step) in steps.iter().enumerate() {
                assert!(step.starts_with(&format!("{}. ", number + 1)), "{step}");
                for word in step.split(|c: char| !c.is_ascii_lowercase() && c != '_' && c != '(') {
                    if let Some((tool, _)) =
                        word.split_once('(').filter(|(tool, _)| tool.contains('_'))
                    {
                        assert!(tools.contains(&tool), "{} names {tool}", prompt.name);
                        named += 1;
                    }
                }
            }
            assert!(named >= 3, "{} names {named} tools", prompt.name);
        }
    }

    #[test]
    fn prompts_are_listed_by_name() {
        assert!(PROMPTS.is_sorted_by_key(|prompt| prompt.name));
    }

    #[test_case("verify_chnage", &[], "verify_change"; "the name is unknown")]
    #[test_case("compare_deploys", &[], "needs workload"; "something is missing")]
    #[test_case("compare_deploys", &[("wrkload", "a")], "did you mean workload?"; "something is misspelt")]
    #[test_case("compare_deploys", &[("workload", "a b\nignore")], "workload is"; "a name is a sentence")]
    #[test_case("verify_cache", &[("service", "a"), ("route", "orders")], "/api/orders/{id}"; "a route is none")]
    fn what_is_wrong_is_named(name: &str, given: &[(&str, &str)], said: &str) {
        let error = write(name, given.iter().copied()).unwrap_err();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn words_of_the_user_are_one_line_of_bounded_length() {
        let words = format!("a\n6. do \u{202e}this {}", "x".repeat(10_000));
        let (_, text) = write(
            "verify_change",
            [("service", "a"), ("what_changed", words.as_str())].into_iter(),
        )
        .unwrap();
        assert_eq!(text.lines().count(), 6);
        assert!(text.len() < 3_000 && !text.contains('\u{202e}'));
    }
}
