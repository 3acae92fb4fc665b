//! In which order images go.

use std::collections::{BTreeSet, HashMap};

use crate::image::graph::Graph;

/// Sorts the images to remove into levels: an index before its children, and a subject before its referrers. Where both
/// cannot be, since something about an image also lists it, the index goes first: the service refuses anything else.
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
            level = vec![knot(graph, &before)];
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

/// An image to begin with where everything that is left waits for something else that is left: one of a circle, and of
/// these one that no index lists.
fn knot(graph: &Graph, left: &HashMap<usize, (usize, usize)>) -> usize {
    let mut path: Vec<usize> = left.keys().min().copied().into_iter().collect();
    while let Some(last) = path.last().copied() {
        let above = graph.parents(last).chain(graph.subjects_of(last));
        let Some(next) = above.filter(|at| left.contains_key(at)).min() else { return last };
        if let Some(first) = path.iter().position(|at| *at == next) {
            let circle = &path[first..];
            let unlisted = circle.iter().copied().find(|at| left[at].0 == 0);
            let other = || left.iter().filter(|(_, waits)| waits.0 == 0).map(|(at, _)| *at).min();
            return unlisted.or_else(other).unwrap_or(next);
        }
        path.push(next);
    }
    0
}
