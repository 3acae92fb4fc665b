//! Brakes: limits that stop a prune before anything is changed anywhere.

use super::super::executor::Action;
use super::super::planned::Planned;
use super::super::replication::DeleteReplication;
use super::args::RuleArgs;

/// The reasons why a plan is not carried out; none where nothing stands against it.
pub(super) fn brakes(planned: &Planned, options: &RuleArgs) -> Vec<String> {
    let mut reasons = Vec::new();
    if planned.is_empty() {
        return reasons;
    }
    let (name, going) = (&planned.repository.name, planned.going.len().max(planned.untag.len()));
    if let Some(max) = options.max.filter(|max| max.is_exceeded(going, planned.images)) {
        reasons.push(format!(
            "{going} of {} images of {name} would go, and --max allows {}",
            planned.images,
            max.text()
        ));
    }
    if planned.empties && !options.allow_empty {
        reasons.push(format!("no tagged image of {name} would be left; --allow-empty allows that"));
    }
    if planned.action == Action::Delete && !options.allow_replicated {
        let unknown = matches!(planned.replication, DeleteReplication::Unknown(_));
        if let Some(warning) = planned.replication.warning(name) {
            let word = if unknown { "all the same" } else { "that" };
            reasons.push(format!("{warning}; --allow-replicated allows {word}"));
        }
    }
    reasons
}
