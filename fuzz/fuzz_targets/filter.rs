//! Any text is a filter that reads back and asks a call within bounds, or an error.
#![no_main]

use std::sync::LazyLock;

use remora_store::block::Origin;
use remora_store::call::CallId;
use remora_store::filter::Filter;
use remora_store::names::Names;
use remora_store::query::{FoundCall, found};
use remora_store::store::Scope;
use remora_store::testing;

static CALL: LazyLock<FoundCall> = LazyLock::new(|| {
    let mut call = testing::call(1, "/api/orders/1?full=1", 200);
    call.response.body = br#"{"id": 1, "items": [{"price": 5}]}"#.as_slice().into();
    let id = CallId {
        block: 1,
        ordinal: 0,
    };
    let recorded = (&Origin::default().into(), &"k-1".into());
    found(&Scope::ALL, &Names::default(), id, recorded, call)
});

libfuzzer_sys::fuzz_target!(|text: &str| {
    match Filter::parse(text) {
        Ok(filter) => {
            assert_eq!(filter.source(), text);
            let _ = filter.matches(&CALL);
        }
        Err(error) => assert!(error.message.len() < 1_000, "{error:?}"),
    }
});
