//! `--max`: limit of the images that a command may remove from a repository.

use std::str::FromStr;

/// Limit of the images removed from a repository (`--max`), as a number or a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum MaxImages {
    Images(usize),
    Percent(u8),
}

impl FromStr for MaxImages {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is neither a number of images nor a percentage such as 20%");
        match text.strip_suffix('%') {
            Some(number) => {
                let percent = number.parse().ok().filter(|percent| *percent <= 100);
                percent.map(Self::Percent).ok_or_else(wrong)
            }
            None => text.parse().map(Self::Images).map_err(|_| wrong()),
        }
    }
}

impl MaxImages {
    /// Returns whether removing `going` of a repository's `images` exceeds the limit.
    pub(in crate::commands) fn is_exceeded(self, going: usize, images: usize) -> bool {
        match self {
            Self::Images(most) => going > most,
            Self::Percent(percent) => going.saturating_mul(100) > images.saturating_mul(usize::from(percent)),
        }
    }

    /// The limit as it was written.
    pub(in crate::commands) fn text(self) -> String {
        match self {
            Self::Images(most) => most.to_string(),
            Self::Percent(percent) => format!("{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MaxImages;

    #[test]
    fn limits_are_numbers_or_shares() {
        assert_eq!("10".parse(), Ok(MaxImages::Images(10)));
        assert_eq!("20%".parse(), Ok(MaxImages::Percent(20)));
        for wrong in ["", "-1", "101%", "1.5%", "%", "many"] {
            assert!(wrong.parse::<MaxImages>().is_err(), "{wrong}");
        }
        assert!(!MaxImages::Percent(20).is_exceeded(2, 10) && MaxImages::Percent(20).is_exceeded(3, 10));
    }
}
