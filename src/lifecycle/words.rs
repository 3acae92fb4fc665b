//! Descriptions of rules in plain English.

use super::policy::{Action, Count, DAY, Rule, StorageClass, Tags};

impl Rule {
    /// Description of the rule, as a sentence without a full stop.
    pub fn in_words(&self) -> String {
        let images = images(&self.tags, self.class);
        let verb = match self.action {
            Action::Expire => "expires",
            Action::Archive => "archives",
        };
        let days = |age: i64| if age / DAY == 1 { "a day".to_owned() } else { format!("{} days", age / DAY) };
        match self.count {
            Count::MoreThan(1) => format!("keeps the newest of the {images} and {verb} the others"),
            Count::MoreThan(number) => format!("keeps the newest {number} {images} and {verb} the others"),
            Count::SincePushed(age) => {
                format!("{verb} {images} that were pushed more than {} ago", days(age))
            }
            Count::SincePulled(age) => {
                format!("{verb} {images} that nobody has pulled for more than {}", days(age))
            }
            Count::SinceTransitioned(age) => {
                format!("{verb} {images} that were archived more than {} ago", days(age))
            }
        }
    }
}

fn images(tags: &Tags, class: StorageClass) -> String {
    let archived = if class == StorageClass::Archive { "archived " } else { "" };
    let several = |texts: &[String]| texts.join(" and ");
    match tags {
        Tags::Any => format!("{archived}images"),
        Tags::Untagged => format!("untagged {archived}images"),
        Tags::Prefixes(texts) if texts.len() == 1 => {
            format!("{archived}images with a tag that begins with {}", texts[0])
        }
        Tags::Patterns(texts) if texts.len() == 1 => format!("{archived}images with a tag like {}", texts[0]),
        Tags::Prefixes(texts) => {
            format!("{archived}images with tags that begin with each of {}", several(texts))
        }
        Tags::Patterns(texts) => format!("{archived}images with tags like each of {}", several(texts)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;

    #[test]
    fn rules_are_sentences() {
        let text = r#"{"rules":[
            {"rulePriority":1,"selection":{"tagStatus":"tagged","tagPatternList":["v*","*-rc"],"countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}},
            {"rulePriority":2,"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days","countNumber":1},"action":{"type":"expire"}},
            {"rulePriority":3,"selection":{"tagStatus":"tagged","tagPrefixList":["dev"],"countType":"sinceImagePulled","countUnit":"days","countNumber":30},"action":{"type":"transition","targetStorageClass":"archive"}},
            {"rulePriority":4,"selection":{"tagStatus":"any","storageClass":"archive","countType":"sinceImageTransitioned","countUnit":"days","countNumber":90},"action":{"type":"expire"}}]}"#;
        let policy = Policy::parse(text).unwrap();
        let words: Vec<String> = policy.rules().iter().map(super::Rule::in_words).collect();
        assert_eq!(
            words,
            [
                "keeps the newest 5 images with tags like each of v* and *-rc and expires the others",
                "expires untagged images that were pushed more than a day ago",
                "archives images with a tag that begins with dev that nobody has pulled for more than 30 days",
                "expires archived images that were archived more than 90 days ago",
            ]
        );
    }
}
