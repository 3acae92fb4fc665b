mod golden;

fn main() {}
