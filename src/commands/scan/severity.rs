//! Severities in their order, and the level from which findings fail.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// Severity of a finding; the worst compares least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Severity {
    Critical,
    High,
    Medium,
    Low,
    Informational,
    /// `UNDEFINED`, `UNTRIAGED` and unknown words: the finding is not rated.
    Unjudged(String),
}

/// The severities that are known, with their names in the API.
const KNOWN: [(Severity, &str); 5] = [
    (Severity::Critical, "CRITICAL"),
    (Severity::High, "HIGH"),
    (Severity::Medium, "MEDIUM"),
    (Severity::Low, "LOW"),
    (Severity::Informational, "INFORMATIONAL"),
];

impl Severity {
    /// Parses a severity of the API.
    pub(super) fn read(word: &str) -> Self {
        let upper = word.to_ascii_uppercase();
        let known = KNOWN.iter().find(|(_, name)| *name == upper).map(|(severity, _)| severity.clone());
        known.unwrap_or(if upper.is_empty() {
            Self::Unjudged("UNDEFINED".to_owned())
        } else {
            Self::Unjudged(upper)
        })
    }

    /// Returns the API's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Unjudged(word) => word,
            known => KNOWN.iter().find(|(severity, _)| severity == known).map_or("", |(_, name)| name),
        }
    }

    /// A number for code scanning where the finding has none of its own.
    pub(super) fn typical_score(&self) -> f64 {
        match self {
            Self::Critical => 9.5,
            Self::High => 8.0,
            Self::Medium => 5.5,
            Self::Low => 3.0,
            Self::Informational | Self::Unjudged(_) => 0.0,
        }
    }
}

/// Returns the parser of `--severity`: unrated findings have two names in the API.
pub(super) fn parser() -> impl TypedValueParser<Value = Severity> {
    let words = ["critical", "high", "medium", "low", "informational", "undefined", "untriaged"];
    PossibleValuesParser::new(words).map(|word| Severity::read(&word))
}

/// The level of `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Critical,
    High,
    Medium,
    Low,
    Informational,
    /// Every finding, also unrated ones.
    Any,
}

impl FailOn {
    /// Returns whether a finding of this severity fails the command.
    pub(super) fn includes(self, severity: &Severity) -> bool {
        let worst = match self {
            Self::Critical => Severity::Critical,
            Self::High => Severity::High,
            Self::Medium => Severity::Medium,
            Self::Low => Severity::Low,
            Self::Informational => Severity::Informational,
            Self::Any => return true,
        };
        *severity <= worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unrated_findings_fail_only_any() {
        for (word, fails) in [
            ("CRITICAL", "critical high medium low informational any"),
            ("High", "high medium low informational any"),
            ("LOW", "low informational any"),
            ("INFORMATIONAL", "informational any"),
            ("UNTRIAGED", "any"),
            ("UNDEFINED", "any"),
            ("", "any"),
        ] {
            let severity = Severity::read(word);
            let levels = FailOn::value_variants().iter().filter(|level| level.includes(&severity));
            let names: Vec<String> =
                levels.filter_map(|level| Some(level.to_possible_value()?.get_name().to_owned())).collect();
            assert_eq!(names.join(" "), fails, "{word}");
        }
    }
}
