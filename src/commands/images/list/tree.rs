//! `--tree`: children and companions of an image, with box characters.

pub(in crate::commands::images) use super::order::ImagePosition;
use crate::image::graph::Graph;

/// A line of the listing: an image, and where it stands in the tree.
#[derive(Debug, Clone)]
pub(in crate::commands::images) struct Line {
    pub(in crate::commands::images) place: ImagePosition,
    /// The branches in front of the label; empty for an image that hangs on nothing.
    pub(in crate::commands::images) branches: Box<str>,
    /// The platform that an index gives it.
    pub(in crate::commands::images) platform: Option<Box<str>>,
}

impl Line {
    /// An image that hangs on nothing.
    pub(in crate::commands::images) fn root(place: ImagePosition) -> Self {
        Self { place, branches: Box::default(), platform: None }
    }
}

/// An image with everything that hangs on it, each where it hangs. What hangs on several is shown at each of them, but
/// never below itself.
pub(in crate::commands::images) fn lines(graph: &Graph, place: ImagePosition) -> Vec<Line> {
    let mut lines = vec![Line::root(place)];
    let mut above = vec![place.position as usize];
    descend(graph, place, "", &mut above, &mut lines);
    lines
}

fn descend(
    graph: &Graph,
    place: ImagePosition,
    indentation: &str,
    above: &mut Vec<usize>,
    lines: &mut Vec<Line>,
) {
    let position = above.last().copied().unwrap_or_default();
    let children = graph.children(position).map(|child| (child.position, child.platform));
    let companions = graph.companions(position).map(|companion| (companion, None));
    let below: Vec<_> = children.chain(companions).filter(|(at, _)| !above.contains(at)).collect();
    for (number, (at, platform)) in below.iter().enumerate() {
        let last = number + 1 == below.len();
        lines.push(Line {
            place: ImagePosition::new(place.repository as usize, *at),
            branches: format!("{indentation}{}", if last { "└─ " } else { "├─ " }).into_boxed_str(),
            platform: platform.map(Into::into),
        });
        above.push(*at);
        descend(graph, place, &format!("{indentation}{}", if last { "   " } else { "│  " }), above, lines);
        above.pop();
    }
}
