//! What repeats from message to message is kept once.

use super::*;

#[test]
fn equal_texts_are_shared() {
    let mut templates = Templates::default();
    let (a, b, c) = (templates.text("x"), templates.text("x"), templates.text("y"));
    assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c) && *c == *"y");
}
