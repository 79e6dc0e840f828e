//! What a caller may see: whose calls, and of those whose bodies.

use std::collections::BTreeSet;

/// A set of namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them, those to come too.
    #[default]
    All,
    /// These.
    Only(BTreeSet<String>),
}

impl Namespaces {
    /// Whether `namespace` is one of them.
    pub fn hold(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
        }
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, namespaces) | (namespaces, Self::All) => namespaces.clone(),
            (Self::Only(mine), Self::Only(theirs)) => {
                Self::Only(mine.intersection(theirs).cloned().collect())
            }
        }
    }
}

/// What a caller may see. Every question carries one; there is no question without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    calls: Namespaces,
    bodies: Namespaces,
}

impl Scope {
    /// Everything: a caller on loopback, or one with the hub's own token.
    pub const ALL: Self = Self {
        calls: Namespaces::All,
        bodies: Namespaces::All,
    };

    /// The calls that pods of these namespaces recorded, whole.
    pub fn whole(namespaces: Namespaces) -> Self {
        Self {
            bodies: namespaces.clone(),
            calls: namespaces,
        }
    }

    /// The calls that pods of `calls` recorded, with what was sent in them where that is in `bodies` too.
    pub const fn new(calls: Namespaces, bodies: Namespaces) -> Self {
        Self { calls, bodies }
    }

    /// Whose calls are seen.
    pub const fn calls(&self) -> &Namespaces {
        &self.calls
    }

    /// Whose bodies are seen. It may hold more than [`Self::calls`]; a body without its call is never seen.
    pub const fn bodies(&self) -> &Namespaces {
        &self.bodies
    }

    /// Whether records made in `namespace` may be shown.
    pub fn sees(&self, namespace: &str) -> bool {
        self.calls.hold(namespace)
    }

    /// Whether what was sent in bodies and messages of such records may be shown too.
    pub fn sees_bodies(&self, namespace: &str) -> bool {
        self.sees(namespace) && self.bodies.hold(namespace)
    }

    /// What is left of it in some namespaces.
    #[must_use]
    pub fn within(&self, namespaces: &Namespaces) -> Self {
        Self {
            calls: self.calls.and(namespaces),
            bodies: self.bodies.and(namespaces),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Namespaces {
        Namespaces::Only(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_body_is_never_seen_without_its_call() {
        let scope = Scope::new(only(&["shop", "bank"]), only(&["shop", "vault"]));
        let seen = |name| (scope.sees(name), scope.sees_bodies(name));
        assert_eq!(seen("shop"), (true, true));
        assert_eq!(seen("bank"), (true, false));
        assert_eq!(seen("vault"), (false, false));
        assert!(!Scope::new(only(&[]), Namespaces::All).sees_bodies("shop"));
    }

    #[test]
    fn a_smaller_part_shows_no_more_than_the_whole() {
        let scope = Scope::new(Namespaces::All, only(&["shop"]));
        let part = scope.within(&only(&["shop", "bank"]));
        assert_eq!(part, Scope::new(only(&["shop", "bank"]), only(&["shop"])));
        assert_eq!(part.within(&Namespaces::All), part);
    }
}
