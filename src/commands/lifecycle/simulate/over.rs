//! `--over`: images that would be left week by week without further pushes or pulls.

use std::collections::HashSet;
use std::time::Duration;

use crate::lifecycle::{Action, Image, Policy, evaluate};

/// The longest time that is simulated.
pub(super) const MAX_SPAN: Duration = Duration::from_hours(10 * 365 * 24);
/// A week in milliseconds.
const WEEK: i64 = 7 * 24 * 60 * 60 * 1000;

/// Images and bytes left at the end of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Week {
    /// Time of the evaluation, in milliseconds since 1970.
    pub(super) at: i64,
    /// Images that can be pulled.
    pub(super) images: usize,
    pub(super) bytes: u64,
    /// Images in the archive, which are not among them.
    pub(super) archived_images: usize,
    pub(super) archived_bytes: u64,
}

/// Simulates from an instant for a time. What a week's run does is what the next one begins with.
pub(super) fn weeks(
    policy: &Policy,
    images: &[Image],
    sizes: &[u64],
    (from, over): (i64, Duration),
) -> Vec<Week> {
    let mut left: Vec<Image> = images.to_vec();
    let mut sizes = sizes.to_vec();
    let over = i64::try_from(over.as_millis()).unwrap_or(i64::MAX);
    let mut weeks = Vec::new();
    let mut at = from;
    loop {
        let plan = evaluate(policy, &left, at);
        let mut expired = HashSet::new();
        for decision in &plan.decisions {
            match decision.action {
                Action::Expire => {
                    expired.insert(decision.image);
                }
                Action::Archive => {
                    let image = &mut left[decision.image];
                    "ARCHIVED".clone_into(&mut image.status);
                    image.archived_at = Some(at);
                }
            }
        }
        let mut stays = (0..left.len()).map(|image| !expired.contains(&image));
        left.retain(|_| stays.next().unwrap_or_default());
        let mut stays = (0..sizes.len()).map(|image| !expired.contains(&image));
        sizes.retain(|_| stays.next().unwrap_or_default());
        weeks.push(week(&left, &sizes, at));
        at = at.saturating_add(WEEK);
        if at - from > over {
            return weeks;
        }
    }
}

fn week(images: &[Image], sizes: &[u64], at: i64) -> Week {
    let mut week = Week { at, ..Week::default() };
    for (image, size) in images.iter().zip(sizes) {
        let (images, bytes) = if image.status == "ARCHIVED" {
            (&mut week.archived_images, &mut week.archived_bytes)
        } else {
            (&mut week.images, &mut week.bytes)
        };
        *images += 1;
        *bytes = bytes.saturating_add(*size);
    }
    week
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archived_images_expire_in_their_time() {
        const DAY: i64 = WEEK / 7;
        let text = r#"{"rules":[
            {"rulePriority":1,"selection":{"tagStatus":"any","countType":"sinceImagePulled","countUnit":"days","countNumber":10},"action":{"type":"transition","targetStorageClass":"archive"}},
            {"rulePriority":2,"selection":{"tagStatus":"any","storageClass":"archive","countType":"sinceImageTransitioned","countUnit":"days","countNumber":90},"action":{"type":"expire"}}]}"#;
        let policy = Policy::parse(text).unwrap();
        let image = |digest: &str, days: i64| Image {
            digest: digest.to_owned(),
            pushed_at: -days * DAY,
            status: "ACTIVE".to_owned(),
            ..Image::default()
        };
        let images = [image("a", 11), image("b", 0)];
        let over = Duration::from_hours(112 * 24);
        let weeks = weeks(&policy, &images, &[1, 2], (0, over));
        let told: Vec<(usize, usize)> =
            weeks.iter().map(|week| (week.images, week.archived_images)).collect();
        let mut expected = vec![(1, 1), (1, 1)];
        expected.extend([(0, 2); 11]);
        // 91 days after the first was archived, and 91 after the second.
        expected.extend([(0, 1), (0, 1), (0, 0), (0, 0)]);
        assert_eq!(told, expected);
        assert_eq!((weeks[0].bytes, weeks[0].archived_bytes, weeks[16].at), (2, 1, 112 * DAY));
    }
}
