//! IAM's evaluation against a second implementation of it, which the fuzz target shares.

#[allow(unreachable_pub, reason = "it is the fuzz crate's")]
#[path = "../fuzz/src/iam.rs"]
mod cases;
#[allow(
    unreachable_pub,
    clippy::format_collect,
    clippy::match_same_arms,
    clippy::trivially_copy_pass_by_ref,
    reason = "it is the fuzz crate's: written to be obvious"
)]
#[path = "../fuzz/src/iam_model.rs"]
mod iam_model;

#[test]
fn both_evaluations_agree() {
    // xorshift64*, so that every run has the same policies.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut data = [0_u8; 96];
    for _ in 0..20_000 {
        for byte in &mut data {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            *byte = (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 56) as u8;
        }
        cases::compare(&data);
    }
}
