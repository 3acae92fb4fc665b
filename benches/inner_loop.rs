//! What a transfer spends its time on: hashing, base64, and a layer part's request.
//!
//! ```sh
//! cargo bench
//! ```
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use ecr::image::{Algorithm, Digest};
use ecr::model;
use ecr::service::Client;
use ecr::settings::{Globals, Settings};
use serde_json::json;

const PART: usize = 10 << 20;

fn main() {
    divan::main();
}

fn part() -> Bytes {
    let mut state = 1u64;
    let word = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    word.take(PART / 8).flatten().collect::<Vec<u8>>().into()
}

#[divan::bench]
fn sha256(bencher: Bencher) {
    let part = part();
    bencher.counter(BytesCount::new(PART)).bench(|| Digest::of(black_box(&part)));
}

#[divan::bench]
fn sha512(bencher: Bencher) {
    let part = part();
    bencher.counter(BytesCount::new(PART)).bench(|| Algorithm::Sha512.of(black_box(&part)));
}

#[divan::bench]
fn base64(bencher: Bencher) {
    let (part, mut text) = (part(), Vec::with_capacity(PART / 3 * 4 + 4));
    bencher.counter(BytesCount::new(PART)).bench_local(|| {
        text.clear();
        base64_simd::STANDARD.encode_append(black_box(&part), &mut text);
    });
}

/// A part encoded and hashed as its request will be: what bounds a push through ECR's API.
#[divan::bench]
fn request(bencher: Bencher) {
    let part = part();
    let client = Client::remote(model::ecr(), &Settings::resolve(Globals::default()));
    let input =
        json!({"repositoryName": "app", "uploadId": "u", "partFirstByte": 0, "partLastByte": PART - 1});
    bencher
        .counter(BytesCount::new(PART))
        .bench(|| client.prepare("UploadLayerPart", input.clone(), "layerPartBlob", part.clone()).unwrap());
}
