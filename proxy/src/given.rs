//! Which connections of its workload a sidecar is given: what it is not given, it cannot have seen.

use remora_store::call::Leg;

use crate::config::Config;

/// Which connections of its workload a sidecar is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// Those of its clients.
    pub inbound: Share,
    /// Those to its servers.
    pub outbound: Share,
}

/// How many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All that it was told of.
    All,
    /// Those of programs that ask it as their proxy.
    Proxied,
    /// None.
    Nothing,
}

impl Given {
    /// Everything, each way.
    pub const ALL: Self = Self {
        inbound: Share::All,
        outbound: Share::All,
    };

    /// What a sidecar that is configured so is given.
    pub fn of(config: &Config) -> Self {
        let is_redirected = config.redirect.is_some();
        let share = |leg: Leg| match is_redirected || config.maps.iter().any(|it| it.leg == leg) {
            true => Share::All,
            false => Share::Nothing,
        };
        Self {
            inbound: share(Leg::Inbound),
            outbound: match config.forward {
                Some(_) if !is_redirected => Share::Proxied,
                _ => share(Leg::Outbound),
            },
        }
    }

    /// The same as the hub is told it, behind other parameters; nothing where it is given everything.
    pub(crate) fn words(self) -> String {
        let word = |field: &str, share: Share| match share {
            Share::All => String::new(),
            Share::Proxied => format!("&{field}=proxied"),
            Share::Nothing => format!("&{field}=none"),
        };
        word("inbound", self.inbound) + &word("outbound", self.outbound)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::config::Options;

    const INBOUND: &str = "inbound:127.0.0.1:1=127.0.0.1:2";
    const OUTBOUND: &str = "outbound:127.0.0.1:3=127.0.0.1:4";

    #[test_case(&[INBOUND, OUTBOUND], None, ""; "mapped both ways")]
    #[test_case(&[INBOUND], None, "&outbound=none"; "only what comes")]
    #[test_case(&[OUTBOUND], None, "&inbound=none"; "only what goes")]
    #[test_case(&[INBOUND], Some("127.0.0.1:5"), "&outbound=proxied"; "a proxy for what goes")]
    fn a_hub_is_told_what_a_sidecar_is_not_given(maps: &[&str], forward: Option<&str>, told: &str) {
        let options = Options {
            maps: maps.iter().map(|map| (*map).to_owned()).collect(),
            forward: forward.map(str::to_owned),
            workload: "web".to_owned(),
            ..Options::default()
        };
        let config = Config::from_options(options).unwrap();
        assert_eq!(Given::of(&config).words(), told);
    }
}
