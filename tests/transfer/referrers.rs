//! Referrers move with their image, and conflicts of tags are found before anything moves.

use std::sync::Arc;

use ecr::image::{Digest, Name};
use ecr::store::{ArchiveReader, ArchiveWriter, Layout, Memory, Shared, Store as _};
use serde_json::Value;

use super::fake::{Fake, refusal};
use super::registry::Registry;
use super::*;

/// An index, an SBOM of its first image, two signatures of the index, and a signature of the SBOM; and how cosign
/// keeps a signature of the second image.
struct Signed {
    memory: Arc<Memory>,
    index: Manifest,
    about: Vec<Manifest>,
    tag: String,
}

async fn signed() -> Signed {
    let (memory, index, children) = index().await;
    let bill = about(&memory, &children[0], "a/bill");
    let proof = about(&memory, &bill, "a/signature");
    let one = about(&memory, &index, "a/signature");
    let two = about(&memory, &index, "a/attestation");
    for each in [&bill, &proof, &one, &two] {
        memory.put_referrer(each).await.unwrap();
    }
    let cosign = image(&memory, "any", &[]).await;
    let tag = format!("sha256-{}.sig", children[1].digest().hexadecimal());
    memory.put_image(&cosign, std::slice::from_ref(&tag)).await.unwrap();
    Signed { memory, index, about: vec![bill, proof, one, two, cosign], tag }
}

fn with_referrers(image: &Digest, tags: &[&str]) -> Options {
    Options { image: Name::Digest(image.clone()), referrers: true, ..options(tags) }
}

impl Signed {
    fn options(&self) -> Options {
        with_referrers(self.index.digest(), &["1"])
    }

    /// Copies everything to a place and from there to memory, where all of it must be.
    async fn round(&self, there: &Shared, back: &Shared) {
        let source: Shared = self.memory.clone();
        let outcome = run(&source, there, &self.options()).await.unwrap();
        assert_eq!((outcome.referrers, outcome.blobs, outcome.present), (5, 11, 0));
        let memory = Arc::new(Memory::new());
        run(back, &(memory.clone() as Shared), &self.options()).await.unwrap();
        for manifest in self.about.iter().chain([&self.index]) {
            let name = Name::Digest(manifest.digest().clone());
            assert_eq!(memory.manifest(&name).await.unwrap().bytes(), manifest.bytes());
            for blob in manifest.blobs() {
                assert_eq!(memory.blob(&blob.digest), self.memory.blob(&blob.digest));
            }
        }
        let tags: Vec<String> = memory.tags().into_iter().map(|(tag, _)| tag).collect();
        assert_eq!(tags, ["1", self.tag.as_str()]);
    }
}

#[tokio::test]
async fn everything_about_an_image_goes_through_every_kind_of_place() {
    let signed = signed().await;
    let folder = tempfile::tempdir().unwrap();

    let fake = Fake::new();
    fake.state().downloads = "http://127.0.0.1:9/".to_owned();
    let source: Shared = signed.memory.clone();
    run(&source, &(fake.store() as Shared), &signed.options()).await.unwrap();
    let puts = fake.calls("PutImage");
    let place = |digest: &Digest| {
        let front = &digest.to_string()[..13];
        puts.iter().position(|line| line.starts_with(front)).unwrap()
    };
    // Each behind what it is about, the tagged one under its tag.
    let [bill, proof, one, two, cosign] = &signed.about[..] else { unreachable!() };
    let image = place(signed.index.digest());
    assert!(image < place(bill.digest()) && place(bill.digest()) < place(proof.digest()));
    assert!(image < place(one.digest()) && image < place(two.digest()));
    assert!(puts[place(cosign.digest())].ends_with(&signed.tag));
    assert_eq!(puts.len(), 8);

    // Once more asks once for each subject, a page for each referrer, and sends nothing.
    fake.state().log.clear();
    let again = run(&source, &(fake.store() as Shared), &signed.options()).await.unwrap();
    assert_eq!((again.blobs, again.present, again.referrers), (0, 11, 5));
    let mut calls = fake.state().log.clone();
    calls.sort();
    let lists = "ListImageReferrers";
    assert_eq!(calls, ["DescribeImages", "DescribeImages", lists, lists, lists, lists]);

    for lists in [true, false] {
        let registry = Registry::start();
        registry.state().referrers = lists;
        signed.round(&registry.store(), &registry.store()).await;
        let tag = format!("sha256-{}", signed.index.digest().hexadecimal());
        let kept = registry.state().manifests.get(&tag).cloned();
        assert_eq!(kept.is_some(), !lists);
        if let Some((media_type, index)) = kept {
            assert_eq!(media_type, media_type::OCI_INDEX);
            let index: Value = serde_json::from_slice(&index).unwrap();
            let mut expected = vec![one.referrer(), two.referrer()];
            expected.sort_by(|one, other| one.digest.cmp(&other.digest));
            assert_eq!(index["manifests"], json!(expected));
        }
        let puts = registry.count("PUT");
        run(&source, &registry.store(), &signed.options()).await.unwrap();
        // Which tags a registry has cannot be asked by digest, so the image and cosign's are put under theirs again.
        assert_eq!(registry.count("PUT"), puts + 2);
    }

    let layout: Shared = Arc::new(Layout::new(folder.path().join("layout")));
    signed.round(&layout, &layout).await;
    let archive = folder.path().join("image.tar");
    let writer: Shared = Arc::new(ArchiveWriter::new(&archive).unwrap());
    let source: Shared = layout.clone();
    run(&source, &writer, &signed.options()).await.unwrap();
    let reader: Shared = Arc::new(ArchiveReader::open(&archive).unwrap());
    let memory: Shared = Arc::new(Memory::new());
    assert_eq!(run(&reader, &memory, &signed.options()).await.unwrap().referrers, 5);

    // What is about an image is no second image.
    let alone = Options { image: Name::Unnamed, ..signed.options() };
    for place in [&layout, &reader] {
        let memory: Shared = Arc::new(Memory::new());
        assert_eq!(&run(place, &memory, &alone).await.unwrap().digest, signed.index.digest());
    }
}

/// oras lists the images of an index beside it, and nobody need list only what is there.
#[tokio::test]
async fn the_image_of_a_layout_with_much_in_it_is_the_one_with_a_tag() {
    let signed = signed().await;
    let folder = tempfile::tempdir().unwrap();
    let layout: Shared = Arc::new(Layout::new(folder.path().join("layout")));
    run(&(signed.memory.clone() as Shared), &layout, &signed.options()).await.unwrap();
    let path = folder.path().join("layout/index.json");
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let entries = index["manifests"].as_array_mut().unwrap();
    entries.extend(signed.index.children().iter().map(|child| json!(child)));
    let gone = json!({"mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(b"gone"), "size": 4});
    let other = json!({"mediaType": "text/plain", "digest": signed.about[0].digest(), "size": 1});
    entries.extend([gone, other]);
    std::fs::write(&path, index.to_string()).unwrap();
    let memory: Shared = Arc::new(Memory::new());
    let alone = Options { image: Name::Unnamed, ..signed.options() };
    let outcome = run(&layout, &memory, &alone).await.unwrap();
    assert_eq!((&outcome.digest, outcome.referrers), (signed.index.digest(), 5));
}

#[tokio::test]
async fn hand_written_lists_are_checked() {
    let registry = Registry::start();
    let (memory, image) = single(&[noise(100, 1)]).await;
    let (signature, other) = (about(&memory, &image, "a/signature"), single(&[]).await.1);
    let source: Shared = memory.clone();
    memory.put_referrer(&signature).await.unwrap();
    run(&source, &registry.store(), &with_referrers(image.digest(), &["1"])).await.unwrap();
    // The list names what is gone, and what is about nothing.
    let gone = Digest::of(b"gone");
    let entry = |digest: &Digest, size: usize| json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": size});
    let list = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [
        entry(&gone, 1), entry(other.digest(), other.bytes().len()),
        entry(signature.digest(), signature.bytes().len()),
    ]});
    let tag = format!("sha256-{}", image.digest().hexadecimal());
    {
        let mut state = registry.state();
        let kept = (media_type::OCI_MANIFEST.to_owned(), other.bytes().to_vec());
        state.manifests.insert(other.digest().to_string(), kept);
        state.manifests.insert(tag, (media_type::OCI_INDEX.to_owned(), list.to_string().into_bytes()));
    }
    let back: Shared = Arc::new(Memory::new());
    let outcome = run(&registry.store(), &back, &with_referrers(image.digest(), &["1"])).await.unwrap();
    assert_eq!(outcome.referrers, 1);
}

#[tokio::test]
async fn referrers_of_referrers_have_an_end() {
    let (memory, image) = single(&[]).await;
    let mut subject = image.clone();
    for _ in 0..9 {
        subject = about(&memory, &subject, "a/signature");
        memory.put_referrer(&subject).await.unwrap();
    }
    let source: Shared = memory;
    let (memory, wanted): (Shared, _) = (Arc::new(Memory::new()), with_referrers(image.digest(), &["1"]));
    assert_eq!(
        run(&source, &memory, &wanted).await.unwrap_err().to_string(),
        format!(
            "memory: too many referrers, or referrers of referrers, of {}; copy it without them",
            image.digest()
        )
    );
}

#[tokio::test]
async fn a_tag_that_cannot_move_is_found_before_anything_is_sent() {
    let fake = Fake::new();
    let store: Shared = fake.store();
    let (first, one) = single(&[noise(100, 1)]).await;
    let (second, two) = single(&[noise(100, 2)]).await;
    let (first, second): (Shared, Shared) = (first, second);
    run(&first, &store, &options(&["1", "latest"])).await.unwrap();
    fake.state().repository = json!({
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "lat*"}],
    });
    fake.state().log.clear();
    let error = run(&second, &store, &options(&["2", "1"])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "team/app has the tag 1 for {} already, and keeps it there (its tag mutability is \
             IMMUTABLE_WITH_EXCLUSION); nothing was sent. Choose another tag for {}",
            one.digest(),
            two.digest()
        )
    );
    // By digest, then each tag.
    let asked = ["DescribeImages", "DescribeImages", "DescribeImages", "DescribeRepositories"];
    assert_eq!(fake.state().log, asked);

    // The same image has its tags already, and an excluded tag moves.
    fake.state().log.clear();
    run(&first, &store, &options(&["1"])).await.unwrap();
    assert_eq!(fake.state().log, ["DescribeImages"]);
    run(&second, &store, &options(&["latest", "2"])).await.unwrap();
    assert_eq!(fake.state().tags["latest"], two.digest().to_string());

    // Who may not ask finds out the hard way, as PutImage has it.
    for operation in ["DescribeImages", "DescribeImages"] {
        fake.fail(operation, |_, _| Some(Err(refusal("AccessDeniedException", 400))));
    }
    fake.fail("PutImage", |_, _| Some(Err(refusal("ImageTagAlreadyExistsException", 400))));
    let error = run(&second, &store, &options(&["1"])).await.unwrap_err();
    assert!(error.to_string().contains("ImageTagAlreadyExistsException"), "{error}");
}
