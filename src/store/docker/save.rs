//! Files that `docker load` needs in an archive: `manifest.json`, which lists the images by the files of their parts,
//! and `repositories`, its older form.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::image::{Content, Manifest, Registry};
use crate::store::files;

/// The file that lists the images.
pub(in crate::store) const LIST: &str = "manifest.json";
/// Name of the list of tags before docker 1.10, still written for tools that read it.
pub(in crate::store) const REPOSITORIES: &str = "repositories";

/// An image in `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    pub(super) config: String,
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(super) layers: Option<Vec<String>>,
}

/// The images of an archive that is being written.
#[derive(Debug, Default)]
pub(in crate::store) struct Saved(Vec<Entry>);

impl Saved {
    /// Lists an image under these names, `REPOSITORY:TAG`. Whatever had one of them loses it.
    pub(in crate::store) fn add(&mut self, manifest: &Manifest, names: &[String]) {
        let Content::Image { config, layers } = manifest.content() else { return };
        let config = files::blob_path(&config.digest);
        let layers: Vec<String> = layers.iter().map(|layer| files::blob_path(&layer.digest)).collect();
        for tags in self.0.iter_mut().filter_map(|entry| entry.repo_tags.as_mut()) {
            tags.retain(|tag| !names.contains(tag));
        }
        let same = |entry: &&mut Entry| entry.config == config && entry.layers.as_ref() == Some(&layers);
        match self.0.iter_mut().find(same) {
            Some(entry) => entry.repo_tags.get_or_insert_default().extend(names.iter().cloned()),
            None => self.0.push(Entry { config, repo_tags: Some(names.to_vec()), layers: Some(layers) }),
        }
    }

    /// The text of `manifest.json`.
    pub(in crate::store) fn list(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("strings always serialise")
    }

    /// The text of `repositories`: for each tag the uppermost layer.
    pub(in crate::store) fn repositories(&self) -> Vec<u8> {
        let mut repositories = Map::new();
        for entry in &self.0 {
            let top = entry.layers.iter().flatten().next_back();
            let top = top.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
            for (repository, tag) in entry.repo_tags.iter().flatten().filter_map(|name| split(name)) {
                let tags = repositories.entry(repository).or_insert_with(|| json!({}));
                tags[tag] = Value::from(top);
            }
        }
        Value::Object(repositories).to_string().into_bytes()
    }
}

/// A name's repository and its tag.
pub(in crate::store) fn split(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once(':').filter(|(repository, tag)| !repository.is_empty() && !tag.contains('/'))
}

/// A repository with everything that docker leaves out when it names one: `docker.io/library/alpine` for `alpine`.
pub(in crate::store) fn full(name: &str) -> String {
    let hosted = name.split_once('/').is_some_and(|(first, _)| Registry::is_host(first));
    match name {
        _ if hosted => name.to_owned(),
        _ if name.contains('/') => format!("docker.io/{name}"),
        _ => format!("docker.io/library/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Descriptor, Digest, media_type};

    #[test]
    fn names_in_full() {
        for (name, expected) in [
            ("alpine:3", "docker.io/library/alpine:3"),
            ("team/app:1", "docker.io/team/app:1"),
            ("localhost/app:1", "localhost/app:1"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
            ("quay.io/team/app:1", "quay.io/team/app:1"),
        ] {
            assert_eq!(full(name), expected);
        }
        assert_eq!(split("localhost:5000/app:1"), Some(("localhost:5000/app", "1")));
        assert_eq!(split("localhost:5000/app"), None);
    }

    #[test]
    fn an_image_with_several_names_is_listed_once_and_a_name_moves() {
        let blob = |content: &[u8]| Descriptor::new("x/y", Digest::of(content), 1);
        let image = |config: &[u8]| {
            let manifest = json!({
                "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
                "config": blob(config), "layers": [blob(b"low"), blob(b"top")]
            });
            Manifest::parse(manifest.to_string().into(), None).unwrap()
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let path = |content: &[u8]| format!("blobs/sha256/{}", Digest::of(content).hexadecimal());
        let mut saved = Saved::default();
        saved.add(&image(b"1"), &names(&["a:1", "a:latest"]));
        saved.add(&image(b"2"), &names(&["a:latest"]));
        saved.add(&image(b"1"), &names(&["localhost:5000/b:1"]));
        let layers = json!([path(b"low"), path(b"top")]);
        let expected = json!([
            {"Config": path(b"1"), "RepoTags": ["a:1", "localhost:5000/b:1"], "Layers": layers},
            {"Config": path(b"2"), "RepoTags": ["a:latest"], "Layers": layers}
        ]);
        assert_eq!(String::from_utf8(saved.list()).unwrap(), expected.to_string());
        let top = Digest::of(b"top");
        let expected = json!({
            "a": {"1": top.hexadecimal(), "latest": top.hexadecimal()},
            "localhost:5000/b": {"1": top.hexadecimal()}
        });
        assert_eq!(String::from_utf8(saved.repositories()).unwrap(), expected.to_string());
    }
}
