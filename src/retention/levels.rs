//! In which order images go.

use std::collections::{BTreeSet, HashMap};

use crate::image::graph::Graph;

/// The images that go, level by level: whatever lists another manifest goes in an earlier level than that manifest, and
/// a subject in an earlier one than what is about it. Where both cannot be, since something about an image also lists
/// it, the index goes first: the service refuses anything else.
pub fn levels(graph: &Graph, going: &[usize]) -> Vec<Vec<usize>> {
    let mut before: HashMap<usize, (usize, usize)> = going.iter().map(|at| (*at, (0, 0))).collect();
    for position in going {
        let parents = graph.parents(*position).filter(|at| before.contains_key(at)).count();
        let subjects = graph.subjects_of(*position).filter(|at| before.contains_key(at)).count();
        before.insert(*position, (parents, subjects));
    }
    let mut levels = Vec::new();
    while !before.is_empty() {
        let free = |test: &dyn Fn(&(usize, usize)) -> bool| {
            let mut free: Vec<usize> = before.iter().filter(|(_, n)| test(n)).map(|(at, _)| *at).collect();
            free.sort_unstable();
            free
        };
        let mut level = free(&|(parents, subjects)| *parents == 0 && *subjects == 0);
        if level.is_empty() {
            level = free(&|(parents, _)| *parents == 0);
        }
        if level.is_empty() {
            // Indexes that list each other cannot exist, their digests being those of their bytes.
            level = free(&|_| true);
        }
        before.retain(|position, _| level.binary_search(position).is_err());
        for position in &level {
            // An index may list a child more than once, and counts once.
            let children: BTreeSet<usize> = graph.children(*position).map(|child| child.position).collect();
            for child in children {
                if let Some((parents, _)) = before.get_mut(&child) {
                    *parents = parents.saturating_sub(1);
                }
            }
            for companion in graph.companions(*position) {
                if let Some((_, subjects)) = before.get_mut(&companion) {
                    *subjects = subjects.saturating_sub(1);
                }
            }
        }
        levels.push(level);
    }
    levels
}
