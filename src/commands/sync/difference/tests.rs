use std::sync::Arc;

use super::super::deletion::Deletion;
use super::*;
use crate::store::Buffers;

fn wanted(delete: bool, referrers: bool) -> SyncOptions<'static> {
    SyncOptions {
        globs: Arc::default(),
        deletion: Deletion { wanted: delete, ..Deletion::default() },
        referrers,
        dry_run: false,
        keep_going: false,
        jobs: 4,
        verify: false,
        buffers: Buffers::within(64 << 20),
        create: None,
    }
}

fn listing(images: &[(&str, &Digest)]) -> ImageListing {
    let images = images.iter().map(|(tag, digest)| (tag.parse().unwrap(), (*digest).clone())).collect();
    ImageListing { images, ..ImageListing::default() }
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn differences_of_mirror_and_source() {
    let [one, two, three] = [b"1", b"2", b"3"].map(|bytes| Digest::of(bytes));
    let source = listing(&[("1", &one), ("1.0", &one), ("2", &two), ("3", &three)]);
    let signature = format!("sha256-{}.sig", one.hexadecimal());
    let mirror = listing(&[("1", &one), ("2", &one), ("old", &three), (&signature, &two)]);
    let difference = differ(source.clone(), &mirror, &wanted(true, false));
    assert_eq!(difference.moved, listing(&[("2", &two)]).images);
    let expected = [(one.clone(), tags(&["1.0"])), (two, tags(&["2"])), (three, tags(&["3"]))];
    assert_eq!(difference.images, expected);
    assert_eq!((difference.extra, difference.same), (tags(&["old"]), 1));
    assert_eq!(differ(source.clone(), &mirror, &wanted(false, false)).extra, tags(&[]));
    // With referrers every image is looked at, those with nothing to copy too.
    assert_eq!(differ(source.clone(), &source, &wanted(true, false)).images, []);
    let all = differ(source.clone(), &source, &wanted(true, true)).images;
    assert_eq!((all.len(), &all[0]), (3, &(one, tags(&[]))));
}

#[test]
fn unreadable_tags_of_the_source_stay_at_the_mirror() {
    let one = Digest::of(b"1");
    let mut source = listing(&[("1", &one)]);
    source.unreadable.push(Unreadable { name: "2".to_owned(), reason: String::new() });
    let mirror = listing(&[("1", &one), ("2", &one), ("3", &one)]);
    assert_eq!(differ(source, &mirror, &wanted(true, false)).extra, tags(&["3"]));
}
