//! pombo
fn main(){}
