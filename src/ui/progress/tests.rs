use super::*;

#[test]
fn the_cause_of_slowness_stands_beside_moving_blobs_or_alone() {
    let mut state = State::default();
    assert_eq!(state.set_slow(Some(Reason::Hashing)), Some("hashing what is here already"));
    assert_eq!(state.set_slow(Some(Reason::Hashing)), None, "once");
    assert_eq!(state.set_slow(None), None);
    let moving = Moving { size: 1, position: 0, bar: None };
    state.moving.insert(Digest::of(b""), moving);
    assert_eq!(state.set_slow(Some(Reason::Compressing)), None);
    let mut throughput = Throughput::new(2 << 20, Instant::now());
    let later = Instant::now() + Duration::from_secs(11);
    throughput.moved(0, 1 << 20, later);
    let line = throughput.line(later).map(|line| suffixed(line, state.slow)).unwrap();
    assert!(line.starts_with("1.0 MiB of 2.0 MiB, ") && line.ends_with("/s, compressing"), "{line}");
}

#[test]
fn bytes_for_a_person() {
    for (bytes, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1023.9 KiB"),
        (1024 * 1024, "1.0 MiB"),
        (1_073_814_856, "1.0 GiB"),
        (u64::MAX, "16383.9 PiB"),
    ] {
        assert_eq!(human(bytes), text);
    }
    assert_eq!((count(1, "blob"), count(0, "blob")), ("1 blob".to_owned(), "0 blobs".to_owned()));
}
