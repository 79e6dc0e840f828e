//! The demo's customers: a round of visits that shows lookups, the catalog, a checkout, a miss and, in the
//! flawed shop, failures.

use std::net::SocketAddr;

use serde_json::json;

use super::shop::{Build, CUSTOMER_TOKEN, Caller};

/// One round: six lookups, one of an order whose articles are gone and one of the order of the day; what a
/// customer has ordered, the catalog, the cart, and one checkout.
pub(super) async fn visit(
    customers: &Caller,
    storefront: SocketAddr,
    build: Build,
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
            &format!("/api/orders/{}?source=newsletter", 40 + round),
            None,
            None,
        )
        .await?;
    let history = format!("/api/customers/{}/orders", round % 20);
    for page in ["/api/orders/7", &history, "/api/catalog", "/api/cart"] {
        customers.call("GET", storefront, page, None, None).await?;
    }
    let order = match build {
        Build::Flawed => json!({"amount": 4200 + round, "card_number": "4111 1111 1111 1111"}),
        // The card is the payment provider's business; the shop knows it by a name.
        Build::Fixed => json!({"amount": 4200 + round, "method": "visa-of-customer-7"}),
    };
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
