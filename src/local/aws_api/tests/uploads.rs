//! Layers: uploaded in parts, checked, fetched.

use super::*;

#[test]
fn a_layer_comes_in_parts() {
    let store = Store::with_repository();
    let content = [vec![1; 5 * MIB], vec![2; 6 * MIB], vec![3; 7]].concat();
    let begun = store.ask("InitiateLayerUpload", json!({ "repositoryName": "team/app" }));
    assert_eq!(begun["partSize"], json!(10_485_760));
    let upload = begun["uploadId"].as_str().unwrap();
    let answer = store.part(upload, 0, &content[..5 * MIB]).unwrap();
    assert_eq!(
        answer,
        json!({
            "registryId": "111122223333", "repositoryName": "team/app", "uploadId": upload,
            "lastByteReceived": 5 * MIB - 1,
        })
    );
    store.part(upload, 5 * MIB, &content[5 * MIB..11 * MIB]).unwrap();
    store.part(upload, 11 * MIB, &content[11 * MIB..]).unwrap();
    let digests = ["sha256:00".to_owned(), digest(&content)];
    let input = json!({ "repositoryName": "team/app", "uploadId": upload, "layerDigests": digests });
    assert_eq!(
        store.ask("CompleteLayerUpload", input),
        json!({
            "registryId": "111122223333", "repositoryName": "team/app", "uploadId": upload,
            "layerDigest": digest(&content),
        })
    );
    let path = store.local.store.blobs.path(&digest(&content)).unwrap();
    assert!(std::fs::read(path).unwrap() == content);
    let gone = store.complete(upload, &digest(&content)).unwrap_err();
    assert_eq!(
        (gone.code.as_str(), gone.message),
        (
            "UploadNotFoundException",
            format!(
                "The upload with id '{upload}' in the repository with name 'team/app' in the registry with id \
                 '111122223333' does not exist"
            )
        )
    );
}

#[test]
fn a_part_must_follow_the_last_one() {
    let store = Store::with_repository();
    let upload = store.begin();
    store.part(&upload, 0, b"first").unwrap();
    let refused = store.part(&upload, 0, b"first").unwrap_err();
    assert_eq!(
        refused,
        ApiError::new("InvalidLayerPartException", "First byte of the layer part is 0 instead of 5")
            .with("registryId", "111122223333")
            .with("repositoryName", "team/app")
            .with("uploadId", upload.as_str())
            .with("lastValidByteReceived", 4)
    );
    assert_eq!(store.part(&upload, 9, b"far").unwrap_err().code, "InvalidLayerPartException");
    let input = json!({
        "repositoryName": "team/app", "uploadId": upload, "partFirstByte": 5, "partLastByte": 9,
        "layerPartBlob": base64_simd::STANDARD.encode_to_string("four"),
    });
    assert_eq!(
        store.refusal("UploadLayerPart", input),
        "InvalidLayerPartException: The layer part has 4 bytes, which bytes 5 to 9 do not describe"
    );
    let big = bytes::Bytes::from(vec![0; 20 * MIB + 1]);
    let input = json!({ "repositoryName": "team/app", "uploadId": upload, "partFirstByte": 5, "partLastByte": 20 * MIB + 5 });
    let refused =
        store.local.answer(&store.caller, model::ecr(), "UploadLayerPart", input, Some(big)).unwrap_err();
    assert_eq!(
        refused.message,
        "Invalid parameter at 'layerPartBlob' failed to satisfy constraint: 'Member must have length less than or equal \
         to 20971520'"
    );
    store.part(&upload, 5, b" and last").unwrap();
    assert_eq!(
        store.complete(&upload, &digest(b"first and last")).unwrap_err().code,
        "LayerPartTooSmallException"
    );
}

#[test]
fn completion_is_refused_with_reasons() {
    let store = Store::with_repository();
    let upload = store.begin();
    let code_and_words = |error: ApiError| format!("{}: {}", error.code, error.message);
    assert_eq!(
        code_and_words(store.complete(&upload, &digest(b"")).unwrap_err()),
        format!(
            "EmptyUploadException: The upload with id '{upload}' in the repository with name 'team/app' in registry with \
             id '111122223333' cannot be completed because it does not have any parts"
        )
    );
    store.part(&upload, 0, b"content").unwrap();
    assert_eq!(
        code_and_words(store.complete(&upload, &digest(b"other")).unwrap_err()),
        "InvalidLayerException: None of the provided layer digests match the calculated layer digest"
    );
    store.complete(&upload, &digest(b"content")).unwrap();
    let again = store.begin();
    store.part(&again, 0, b"content").unwrap();
    assert_eq!(
        code_and_words(store.complete(&again, &digest(b"content")).unwrap_err()),
        format!(
            "LayerAlreadyExistsException: The layer with digest '{}' already exists in the repository with name \
             'team/app' in the registry with id '111122223333'",
            digest(b"content")
        )
    );
    assert_eq!(std::fs::read_dir(store.folder.path().join("uploads")).unwrap().count(), 0);
}

#[test]
fn layers_are_available_or_not() {
    let store = Store::with_repository();
    store.image("content", None);
    store.layer(b"unused");
    let digests =
        [digest(b"content"), digest(b"unused"), digest(b"none"), "nonsense".to_owned(), String::new()];
    let regex = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+";
    let layer = |content: &[u8], media_type: &str| {
        json!({
            "layerDigest": digest(content), "layerAvailability": "AVAILABLE", "layerSize": content.len(),
            "mediaType": media_type,
        })
    };
    assert_eq!(
        store.ask(
            "BatchCheckLayerAvailability",
            json!({ "repositoryName": "team/app", "layerDigests": digests })
        ),
        json!({
            "layers": [
                layer(b"content", "application/vnd.oci.image.layer.v1.tar"),
                layer(b"unused", "application/octet-stream"),
                { "layerDigest": digest(b"none"), "layerAvailability": "UNAVAILABLE" },
            ],
            "failures": [
                {
                    "layerDigest": "nonsense", "failureCode": "InvalidLayerDigest",
                    "failureReason": format!("Invalid request parameters: layer digest should satisfy the regex '{regex}'"),
                },
                {
                    "layerDigest": "", "failureCode": "MissingLayerDigest",
                    "failureReason": "Invalid request parameters: layer digest cannot be null",
                },
            ],
        })
    );
}

#[test]
fn a_layer_of_an_image_can_be_downloaded() {
    let mut store = Store::with_repository();
    store.image("content", None);
    store.layer(b"unused");
    let ask = |store: &Store, content: &[u8]| {
        let input = json!({ "repositoryName": "team/app", "layerDigest": digest(content) });
        store.answer("GetDownloadUrlForLayer", input)
    };
    assert_eq!(
        ask(&store, b"none").unwrap_err().message,
        format!(
            "The layer with digest '{}' does not exist within the repository with name 'team/app' in the registry with id \
             '111122223333'",
            digest(b"none")
        )
    );
    assert_eq!(ask(&store, b"unused").unwrap_err().code, "LayerInaccessibleException");
    let answer = ask(&store, b"content").unwrap();
    let start = format!("http://127.0.0.1:5700/_blob/{}?expires=", digest(b"content"));
    assert!(answer["downloadUrl"].as_str().unwrap().starts_with(&start), "{answer}");
    store.caller.address = None;
    let answer = ask(&store, b"content").unwrap();
    let path = url::Url::parse(answer["downloadUrl"].as_str().unwrap()).unwrap().to_file_path().unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"content");
}

#[test]
fn an_upload_that_lost_its_bytes_is_begun_anew() {
    let store = Store::with_repository();
    let upload = store.begin();
    store.part(&upload, 0, b"content").unwrap();
    // As after a completion whose transaction failed.
    std::fs::remove_file(store.local.store.blobs.upload_path(&upload)).unwrap();
    for refused in
        [store.part(&upload, 7, b"more").map(drop), store.complete(&upload, &digest(b"content")).map(drop)]
    {
        assert_eq!(refused.unwrap_err().code, "UploadNotFoundException");
    }
    store.layer(b"content");
}

#[test]
fn a_damaged_blob_is_replaced_when_it_is_pushed_again() {
    let store = Store::with_repository();
    store.layer(b"content");
    let path = store.local.store.blobs.path(&digest(b"content")).unwrap();
    std::fs::write(&path, b"CONTENT").unwrap();
    let upload = store.begin();
    store.part(&upload, 0, b"content").unwrap();
    assert_eq!(store.complete(&upload, &digest(b"content")).unwrap_err().code, "LayerAlreadyExistsException");
    assert_eq!(std::fs::read(path).unwrap(), b"content");
}
