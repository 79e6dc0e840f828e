use std::os::unix::fs::MetadataExt as _;

use super::*;

fn fact(name: &str, address: &str, since_ns: i64, until_ns: Option<i64>) -> Fact {
    Fact {
        address: address.parse().unwrap(),
        port: 80,
        since_ns,
        until_ns,
        holder: Arc::new(Holder {
            kind: HolderKind::Service,
            namespace: "shop".to_owned(),
            workload: "orders".to_owned(),
            pod: String::new(),
            service: name.to_owned(),
            revision: "1".to_owned(),
        }),
    }
}

fn read_back(dir: &Path) -> (Vec<Fact>, Option<String>) {
    let (_, facts, note) = Journal::open(dir).unwrap();
    let mut facts: Vec<Fact> = facts.iter().cloned().collect();
    facts.sort_by_key(|fact| (fact.address, fact.since_ns));
    (facts, note)
}

/// Writes an open fact and its end, and another one behind.
fn written() -> (tempfile::TempDir, Vec<Fact>) {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, mut facts, note) = Journal::open(dir.path()).unwrap();
    assert_eq!(note, None);
    let (a, b) = (
        fact("a", "10.0.0.1", 1, None),
        fact("b", "fd00::1", 5, None),
    );
    for (present, at_ns) in [(&[a][..], 2), (&[][..], 3), (&[b.clone()][..], 6)] {
        let changed = facts.observe(present, at_ns);
        journal.append(&changed, &facts).unwrap();
    }
    (dir, vec![fact("a", "10.0.0.1", 1, Some(3)), b])
}

#[test]
fn what_was_seen_is_there_when_it_is_opened_again() {
    let (dir, expected) = written();
    assert_eq!(read_back(dir.path()), (expected.clone(), None));
    assert_eq!(read_back(dir.path()), (expected, None));
}

#[test]
fn a_sound_file_is_opened_without_a_write() {
    let (dir, _) = written();
    let file = || fs::metadata(dir.path().join(FILE)).unwrap().ino();
    let before = file();
    read_back(dir.path());
    assert_eq!(file(), before);
}

#[test]
fn a_torn_or_damaged_end_costs_only_what_is_behind_it() {
    let (dir, expected) = written();
    let path = dir.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, whole.get(..length).unwrap()).unwrap();
        let (facts, note) = read_back(dir.path());
        assert!(facts.len() <= expected.len());
        assert!(
            facts
                .iter()
                .all(|fact| fact.holder == expected[0].holder || fact.holder == expected[1].holder)
        );
        let again = read_back(dir.path());
        assert_eq!(again, (facts, None), "{note:?}");
    }
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&path, damaged).unwrap();
    let (facts, note) = read_back(dir.path());
    assert_eq!(facts, expected.get(..1).unwrap());
    assert!(note.unwrap().contains("damaged"));
}

#[test]
fn a_file_that_is_mostly_outdated_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, mut facts, _) = Journal::open(dir.path()).unwrap();
    let mut longest = 0;
    for round in 0..3_000 {
        let seen = fact("a", "10.0.0.1", round * 2, None);
        for (present, at_ns) in [(&[seen][..], round * 2), (&[][..], round * 2 + 1)] {
            let changed = facts.observe(present, at_ns);
            journal.append(&changed, &facts).unwrap();
        }
        facts.forget_before(round * 2);
        longest = longest.max(fs::metadata(dir.path().join(FILE)).unwrap().len());
    }
    let end = fs::metadata(dir.path().join(FILE)).unwrap().len();
    assert!(end < longest, "{end} of {longest}");
    drop(journal);
    let (_, mut again, note) = Journal::open(dir.path()).unwrap();
    again.forget_before(5_998);
    assert_eq!((again.len(), note), (1, None));
}
