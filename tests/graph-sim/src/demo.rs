//! The world of the demo: one business with two people. Data only.

use serde_json::{Value, json};

/// The document for `POST /admin/setup`, with webhooks to this URL.
pub fn demo(webhook: Option<&str>) -> Value {
    json!({
        "apps": [{ "id": "900100", "secret": "demo-app-secret", "verify_token": "demo-verify", "callback": webhook }],
        "tokens": [{ "token": "demo-token", "app": "900100" }],
        "portfolios": [{ "id": "700100", "tier": "TIER_250" }],
        "wabas": [{ "id": "800100", "portfolio": "700100", "name": "Padaria Aurora" }],
        "numbers": [{
            "id": "600100", "display_phone_number": "+55 11 90000-0009", "waba": "800100", "verified_name": "Padaria Aurora",
        }],
        "users": [
            { "id": "ana", "phone": "5511900000011", "name": "Ana", "user_id": "BR.1502ana", "country": "BR" },
            { "id": "bia", "phone": "5511900000012", "name": "Bia", "user_id": "BR.1502bia", "country": "BR" },
        ],
        "templates": [
            {
                "id": 500101, "name": "pedido_pronto", "language": "pt_BR", "category": "UTILITY", "parameter_format": "NAMED",
                "components": [
                    { "type": "BODY", "text": "Olá {{nome}}, o pedido {{pedido}} está pronto para retirada.",
                      "example": { "body_text_named_params": [
                          { "param_name": "nome", "example": "Ana" }, { "param_name": "pedido", "example": "123" }] } },
                    { "type": "BUTTONS", "buttons": [
                        { "type": "QUICK_REPLY", "text": "Estou indo" }, { "type": "QUICK_REPLY", "text": "Mais tarde" }] },
                ],
            },
            {
                "id": 500102, "name": "promocao_da_semana", "language": "pt_BR", "category": "MARKETING",
                "components": [
                    { "type": "BODY", "text": "Oi {{1}}! Esta semana o pão de queijo está com {{2}} de desconto. Venha nos visitar.",
                      "example": { "body_text": [["Ana", "20%"]] } },
                    { "type": "FOOTER", "text": "Padaria Aurora" },
                ],
            },
        ],
        "knobs": { "approve_after_seconds": 5 },
    })
}
