//! The demo's customers: a round of visits that shows lookups, a checkout, a miss and a failure.

use std::net::SocketAddr;

use serde_json::json;

use super::shop::{CUSTOMER_TOKEN, Caller};

/// One round: five lookups, the last of an order whose articles are gone, and one checkout.
pub(super) async fn visit(
    customers: &Caller,
    storefront: SocketAddr,
    round: u64,
) -> anyhow::Result<()> {
    for visit in 0..4 {
        let order = (round * 4 + visit) % 30;
        customers
            .call(
                "GET",
                storefront,
                &format!("/api/orders/{order}"),
                None,
                None,
            )
            .await?;
    }
    customers
        .call(
            "GET",
            storefront,
            "/api/orders/40?source=newsletter",
            None,
            None,
        )
        .await?;
    let order = json!({"amount": 4200 + round, "card_number": "4111 1111 1111 1111"});
    customers
        .call(
            "POST",
            storefront,
            "/api/checkout",
            Some(CUSTOMER_TOKEN),
            Some(order),
        )
        .await?;
    Ok(())
}
