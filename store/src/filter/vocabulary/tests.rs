use super::*;

#[test]
fn every_mistake_leads_to_a_name_that_exists() {
    for (mistake, meant) in MISTAKES {
        assert!(find(mistake).is_none(), "{mistake} is a name");
        assert!(
            find(meant).is_some() || UNRECORDED_PROTOCOLS.contains(meant),
            "{mistake} leads to {meant}, which is no name"
        );
    }
}

#[test]
fn no_name_is_there_twice() {
    for (index, known) in NAMES.iter().enumerate() {
        let again = NAMES[index + 1..]
            .iter()
            .any(|other| other.name == known.name);
        assert!(!again, "{} is there twice", known.name);
        assert!(!UNRECORDED_PROTOCOLS.contains(&known.name));
    }
}

#[test]
fn the_manual_names_every_name() {
    let manual = include_str!("../../../../docs/filters.md");
    for known in NAMES
        .iter()
        .filter(|known| known.field != Field::Unrecorded)
    {
        let quoted = format!("`{}`", known.name);
        assert!(manual.contains(&quoted), "docs/filters.md lacks {quoted}");
    }
}
