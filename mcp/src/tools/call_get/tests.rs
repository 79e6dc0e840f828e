//! Whatever was recorded, what stands outside the fence is ours.

use std::sync::Arc;

use proptest::prelude::*;
use remora_store::block::Origin;
use remora_store::call::Call;
use remora_store::names::Party;
use remora_store::testing::any_call;

use super::*;
use crate::tools::calls_search::{Column, DEFAULT_COLUMNS};

fn found(call: Call, name: &str) -> FoundCall {
    let party = |address| Party {
        address,
        workload: name.to_owned(),
        pod: name.to_owned(),
        namespace: name.to_owned(),
        service: name.to_owned(),
        revision: name.to_owned(),
    };
    FoundCall {
        withheld: false,
        id: CallId {
            block: 1,
            ordinal: 0,
        },
        src: party(call.src),
        dst: party(call.dst),
        call,
        origin: Arc::new(Origin {
            revision: name.to_owned(),
            ..Origin::default()
        }),
        redaction_key: Arc::default(),
    }
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || (' '..='~').contains(&c))
}

/// The text before, inside, and behind the one fence.
fn split_at_fence(text: &str) -> (&str, &str, &str) {
    let begin = text.find("--- ").unwrap_or(text.len());
    let (before, rest) = text.split_at(begin);
    let boundary: String = rest.chars().take("--- 0123456789ab ".len()).collect();
    let end = rest.rfind(&boundary).unwrap_or_default();
    let (inside, after) = rest.split_at(end);
    (before, inside, after)
}

proptest! {
    #[test]
    fn any_call_is_shown_with_recorded_text_inside_the_fence_only(call in any_call(), name in any::<String>()) {
        let input = Input { call_ids: vec![], parts: None, body_bytes: None, json_pointer: None };
        let mut text = String::new();
        View::new(&input, 1).unwrap().write(&found(call, &name), &Related::default(), &Descriptors::default(), &mut text);
        let (before, inside, after) = split_at_fence(&text);
        prop_assert!(is_plain(before) && is_plain(after), "{text:?}");
        prop_assert!(inside.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{inside:?}");
        prop_assert!(text.len() <= RESULT_BYTES, "{} bytes", text.len());
    }

    #[test]
    fn any_call_makes_a_row_of_plain_cells(call in any_call(), name in any::<String>()) {
        let found = found(call, &name);
        for column in DEFAULT_COLUMNS.iter().chain(&[Column::Protocol, Column::State, Column::Revision]) {
            let cell = column.cell(&found, "");
            prop_assert!(!cell.is_empty() && is_plain(&cell) && !cell.contains('\n'), "{column:?}: {cell:?}");
        }
    }

    #[test]
    fn any_call_has_a_json_form_with_all_its_fields(call in any_call()) {
        let json = serde_json::to_value(CallJson::new(&found(call, "orders"), &Descriptors::default())).unwrap();
        prop_assert!(json["id"] == "c1-0" && json["request"]["headers"].is_array());
    }
}
