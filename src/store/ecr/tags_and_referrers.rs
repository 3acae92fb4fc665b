//! An image's tags, their mutability, and its referrers.

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::super::TokenPages;
use super::{Ecr, Error, list, text};
use crate::image::mutability::is_immutable;
use crate::image::{Descriptor, Digest, Tag};

/// The most referrers that ListImageReferrers answers at once.
const PAGE: u32 = 50;

impl Ecr {
    /// Refuses a tag that another image has and that cannot be moved: PutImage would, but only after every layer was
    /// sent. Where no tag is in the way, this is one call for each tag, all at once.
    pub(super) async fn immutable(&self, wanted: &Digest, tags: &[String]) -> Result<(), Error> {
        let named = try_join_all(tags.iter().map(|tag| self.named(tag))).await?;
        let taken: Vec<(&String, &Digest)> = tags
            .iter()
            .zip(&named)
            .filter_map(|(tag, found)| Some((tag, found.as_ref()?)))
            .filter(|(_, found)| *found != wanted)
            .collect();
        if taken.is_empty() {
            return Ok(());
        }
        let Some(rule) = self.mutability().await? else { return Ok(()) };
        match taken.into_iter().find(|(tag, _)| rule.keeps(tag)) {
            None => Ok(()),
            Some((tag, found)) => Err(Error::Immutable {
                repository: self.calls.place(),
                tag: tag.clone(),
                found: found.clone(),
                wanted: wanted.clone(),
                mutability: rule.setting,
            }),
        }
    }

    /// The digest of the image that has a tag. DescribeImages and not BatchGetImage, which would count as a pull.
    async fn named(&self, tag: &str) -> Result<Option<Digest>, Error> {
        match allowed(self.calls.call("DescribeImages", json!({"imageIds": [{"imageTag": tag}]})).await) {
            Err(Error::Service(error)) if error.code() == Some("ImageNotFoundException") => Ok(None),
            Err(error) => Err(error),
            Ok(answer) => {
                let image = answer.as_ref().and_then(|answer| list(answer, "imageDetails").first());
                Ok(image.and_then(|image| text(image, "imageDigest")?.parse().ok()))
            }
        }
    }

    async fn mutability(&self) -> Result<Option<Mutability>, Error> {
        let Some(answer) = allowed(self.calls.describe().await)? else { return Ok(None) };
        Ok(list(&answer, "repositories").first().map(Mutability::of))
    }

    /// Takes tags away. What is gone already was to go.
    pub(super) async fn remove(&self, tags: &[Tag]) -> Result<(), Error> {
        const OPERATION: &str = "BatchDeleteImage";
        for some in tags.chunks(super::BATCH) {
            let identifiers: Vec<Value> = some.iter().map(|tag| json!({"imageTag": tag})).collect();
            let answer = self.calls.call(OPERATION, json!({"imageIds": identifiers})).await?;
            let failure = list(&answer, "failures")
                .iter()
                .find(|failure| text(failure, "failureCode") != Some("ImageNotFound"));
            if let Some(failure) = failure {
                let tag = failure.pointer("/imageId/imageTag").and_then(Value::as_str).unwrap_or("a tag");
                let code = text(failure, "failureCode").unwrap_or("a failure");
                let reason = text(failure, "failureReason").unwrap_or("no reason");
                return Err(self.calls.nonsense(OPERATION, &format!("{code} for {tag}: {reason}")));
            }
        }
        Ok(())
    }

    /// Lists all referrers of an image.
    pub(super) async fn about(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        const OPERATION: &str = "ListImageReferrers";
        let mut found = Vec::new();
        let endless = |reason: String| self.calls.nonsense(OPERATION, &reason);
        let mut pages = TokenPages::default();
        loop {
            let members = json!({"subjectId": {"imageDigest": subject}, "maxResults": PAGE});
            let members = pages.input(members).map_err(endless)?;
            let answer = match self.calls.call(OPERATION, members).await {
                // A subject that is not there has none.
                Err(Error::Service(error)) if error.code() == Some("ImageNotFoundException") => break,
                answer => answer?,
            };
            let referrers = list(&answer, "referrers");
            let goes_on = pages.page(&answer, referrers.len()).map_err(endless)?;
            for referrer in referrers {
                found.push(self.referrer(referrer)?);
            }
            if !goes_on {
                break;
            }
        }
        Ok(found)
    }

    fn referrer(&self, referrer: &Value) -> Result<Descriptor, Error> {
        let digest = text(referrer, "digest").and_then(|digest| digest.parse().ok());
        let size = referrer.get("size").and_then(Value::as_u64);
        match (text(referrer, "mediaType"), digest, size) {
            (Some(media_type), Some(digest), Some(size)) => Ok(Descriptor::new(media_type, digest, size)),
            _ => Err(self.calls.nonsense("ListImageReferrers", "a referrer without digest, type or size")),
        }
    }
}

/// An answer where the caller has the right to ask; a push need not have it.
fn allowed(answer: Result<Value, Error>) -> Result<Option<Value>, Error> {
    match answer {
        Err(Error::Service(error)) if error.code() == Some("AccessDeniedException") => Ok(None),
        answer => answer.map(Some),
    }
}

/// Mutability of a repository's tags.
struct Mutability {
    setting: String,
    exclusions: Vec<String>,
}

impl Mutability {
    fn of(repository: &Value) -> Self {
        let filters = list(repository, "imageTagMutabilityExclusionFilters");
        Self {
            setting: text(repository, "imageTagMutability").unwrap_or("MUTABLE").to_owned(),
            exclusions: filters.iter().filter_map(|filter| text(filter, "filter")).map(Into::into).collect(),
        }
    }

    fn keeps(&self, tag: &str) -> bool {
        is_immutable(&self.setting, self.exclusions.iter().map(String::as_str), tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_tags_stay() {
        let rule = |setting: &str, filters: &[&str]| {
            let filters: Vec<Value> =
                filters.iter().map(|filter| json!({"filterType": "WILDCARD", "filter": filter})).collect();
            Mutability::of(
                &json!({"imageTagMutability": setting, "imageTagMutabilityExclusionFilters": filters}),
            )
        };
        for (setting, filters, tag, kept) in [
            ("IMMUTABLE", vec![], "1.0", true),
            ("MUTABLE", vec![], "1.0", false),
            ("IMMUTABLE_WITH_EXCLUSION", vec!["latest", "dev-*"], "1.0", true),
            ("IMMUTABLE_WITH_EXCLUSION", vec!["latest", "dev-*"], "dev-1", false),
            ("IMMUTABLE_WITH_EXCLUSION", vec!["latest", "dev-*"], "latest", false),
            ("IMMUTABLE_WITH_EXCLUSION", vec!["a*b*c"], "axbxc", false),
            ("IMMUTABLE_WITH_EXCLUSION", vec!["a*b*c"], "acb", true),
            ("MUTABLE_WITH_EXCLUSION", vec!["v*"], "v1", true),
            ("MUTABLE_WITH_EXCLUSION", vec!["v*"], "latest", false),
        ] {
            assert_eq!(rule(setting, &filters).keeps(tag), kept, "{setting} {filters:?} {tag}");
        }
    }
}
