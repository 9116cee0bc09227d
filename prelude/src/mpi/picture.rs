//! Pictures of grids and graphs: who is whose neighbour.
//!
//! A picture is drawn from what a rank knows by itself: a grid from its dimensions, since MPI numbers it row by row. Of a
//! graph of which every rank knows its own links only, [`Graph::picture`] collects the others'.

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;

use super::error::MpiResult;
use super::graph::Graph;
use super::grid::Cartesian;
use crate::display::{Bundle, Show};
use crate::plot::network::{Link, Network, Node, Stub};
use crate::plot::{Figure, Picture, PlotError};

/// More nodes are told in words only.
const MOST_NODES: usize = 400;
/// Lines of the form in words.
const MOST_LINES: usize = 64;
/// From a plane of a grid of three dimensions to the next one, y downwards.
const PLANE: (f64, f64) = (0.45, -0.32);

/// Who is whose neighbour, as a picture: grids with the coordinates of each rank, graphs on a circle. Where the ends of a
/// grid are joined, a dashed arrow leads out, with the rank to which it comes.
///
/// It is the [`picture`](Cartesian::picture) of a grid or graph; without ranks it can be had by [`grid`](Self::grid)
/// and [`graph`](Self::graph).
///
/// ```
/// use forkline::mpi::Topology;
///
/// let torus = Topology::grid(&[2, 3], &[true, true]);
/// assert_eq!(torus.neighbors(0), [3, 3, 2, 1]);
/// let star = Topology::graph(&[vec![1, 2], vec![0], vec![0]]);
/// assert_eq!(star.neighbors(0), [1, 2]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    title: Option<String>,
    shape: Shape,
    own: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Grid {
        dimensions: Vec<usize>,
        periods: Vec<bool>,
    },
    Graph {
        n: usize,
        /// From a rank to another, in the order in which they were given.
        edges: Vec<(usize, usize)>,
        /// Whether the links of the other ranks are in it.
        is_whole: bool,
    },
}

impl Topology {
    /// A grid of ranks, row by row; `periods` says of each dimension whether its ends are joined, and missing ones are not.
    pub fn grid(dimensions: &[usize], periods: &[bool]) -> Topology {
        let mut periods = periods.to_vec();
        periods.resize(dimensions.len(), false);
        let dimensions = dimensions.to_vec();
        Topology::of(Shape::Grid {
            dimensions,
            periods,
        })
    }

    /// A graph: the neighbours of each rank.
    pub fn graph(neighbors: &[Vec<usize>]) -> Topology {
        let lists = neighbors.iter().enumerate();
        let edges = lists.flat_map(|(from, list)| list.iter().map(move |&to| (from, to)));
        let edges: Vec<_> = edges.collect();
        // A neighbour that is no node is drawn as one.
        let highest = edges.iter().map(|&(_, to)| to + 1).max();
        Topology::of(Shape::Graph {
            n: neighbors.len().max(highest.unwrap_or(0)),
            edges,
            is_whole: true,
        })
    }

    fn of(shape: Shape) -> Topology {
        Topology {
            title: None,
            shape,
            own: None,
        }
    }

    /// Gives it a title of your own.
    pub fn title(mut self, title: &str) -> Self {
        self.title = Some(title.to_owned());
        self
    }

    /// Marks a rank.
    pub fn mark(mut self, rank: usize) -> Self {
        self.own = Some(rank);
        self
    }

    /// How many ranks there are.
    pub fn len(&self) -> usize {
        match &self.shape {
            Shape::Grid { dimensions, .. } => {
                let places = dimensions
                    .iter()
                    .try_fold(1_usize, |all, &n| all.checked_mul(n));
                places.unwrap_or(usize::MAX)
            }
            Shape::Graph { n, .. } => *n,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The neighbours of a rank. On a grid: for each dimension the one before and the one behind, without those beyond an
    /// edge.
    pub fn neighbors(&self, rank: usize) -> Vec<usize> {
        if rank >= self.len() || self.is_endless() {
            return Vec::new();
        }
        match &self.shape {
            Shape::Graph { edges, .. } => {
                let mine = edges.iter().filter(|&&(from, _)| from == rank);
                mine.map(|&(_, to)| to).collect()
            }
            Shape::Grid { dimensions, .. } => (0..dimensions.len())
                .flat_map(|dimension| self.beside(rank, dimension))
                .flatten()
                .collect(),
        }
    }

    /// So many places that they cannot be numbered.
    fn is_endless(&self) -> bool {
        self.len() == usize::MAX
    }

    /// The one before and the one behind along a dimension.
    fn beside(&self, rank: usize, dimension: usize) -> [Option<usize>; 2] {
        let Shape::Grid {
            dimensions,
            periods,
        } = &self.shape
        else {
            return [None, None];
        };
        let n = dimensions[dimension];
        let stride: usize = dimensions[dimension + 1..].iter().product();
        let at = rank / stride % n;
        let first = rank - at * stride;
        let wraps = periods[dimension];
        [
            match at.checked_sub(1) {
                Some(before) => Some(first + before * stride),
                None => wraps.then_some(first + (n - 1) * stride),
            },
            match at + 1 {
                behind if behind < n => Some(first + behind * stride),
                _ => wraps.then_some(first),
            },
        ]
    }

    fn coords(&self, rank: usize) -> Vec<usize> {
        let Shape::Grid { dimensions, .. } = &self.shape else {
            return Vec::new();
        };
        let mut rest = rank;
        let mut coords: Vec<usize> = dimensions
            .iter()
            .rev()
            .map(|&n| {
                let at = rest % n;
                rest /= n;
                at
            })
            .collect();
        coords.reverse();
        coords
    }

    fn heading(&self) -> String {
        if let Some(title) = &self.title {
            return title.clone();
        }
        match &self.shape {
            Shape::Grid {
                dimensions,
                periods,
            } => {
                let kind = match (
                    dimensions.len(),
                    periods.iter().filter(|&&wraps| wraps).count(),
                ) {
                    (1, 1) => "ring",
                    (n, joined) if n == joined && n > 0 => "torus",
                    (2, 1) => "cylinder",
                    _ => "grid",
                };
                let sides: Vec<String> = dimensions.iter().map(usize::to_string).collect();
                format!("{kind} of {} ranks", sides.join(" × "))
            }
            Shape::Graph {
                n, is_whole: true, ..
            } => format!("graph of {n} ranks"),
            Shape::Graph { n, .. } => format!("graph of {n} ranks: the links of one"),
        }
    }

    /// A line for each rank.
    fn words(&self) -> String {
        let show = |rank: Option<usize>| rank.map_or("-".to_owned(), |rank| rank.to_string());
        let mut text = String::new();
        if self.is_endless() {
            return "more than can be counted".to_owned();
        }
        for rank in 0..self.len().min(MOST_LINES) {
            let _ = match &self.shape {
                Shape::Grid { dimensions, .. } => {
                    let ways: Vec<String> = (0..dimensions.len())
                        .map(|dimension| {
                            let [before, behind] = self.beside(rank, dimension).map(show);
                            match (dimensions.len(), dimension) {
                                (2, 0) => format!("up {before}, down {behind}"),
                                (2, _) => format!("left {before}, right {behind}"),
                                (1, _) => format!("before {before}, behind {behind}"),
                                _ => format!("dimension {dimension}: {before}, {behind}"),
                            }
                        })
                        .collect();
                    let place = place(&self.coords(rank));
                    writeln!(text, "{rank} at {place}: {}", ways.join(", "))
                }
                Shape::Graph { .. } => writeln!(text, "{rank} to {:?}", self.neighbors(rank)),
            };
        }
        if self.len() > MOST_LINES {
            let _ = writeln!(text, "and {} more", self.len() - MOST_LINES);
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn network(&self) -> Network {
        let n = self.len();
        let at: Box<dyn Fn(usize) -> (f64, f64)> = match &self.shape {
            Shape::Grid {
                dimensions,
                periods,
            } => match (dimensions.as_slice(), periods.as_slice()) {
                ([_], [false]) => Box::new(|rank| (rank as f64, 0.0)),
                ([_, _], _) => Box::new(|rank| {
                    let coords = self.coords(rank);
                    (coords[1] as f64, coords[0] as f64)
                }),
                (&[planes, _, _], _) => Box::new(move |rank| {
                    let coords = self.coords(rank);
                    // A cell is so large that all planes' nodes lie in it side by side.
                    let deep = (planes - 1) as f64;
                    let (plane, row, column) =
                        (coords[0] as f64, coords[1] as f64, coords[2] as f64);
                    let x = column * (deep * PLANE.0 + 0.75) + plane * PLANE.0;
                    let y = row * (deep * -PLANE.1 + 0.75) + plane * PLANE.1;
                    (1.3 * x, 1.3 * y)
                }),
                _ => Box::new(move |rank| on_circle(rank, n)),
            },
            Shape::Graph { .. } => Box::new(move |rank| on_circle(rank, n)),
        };
        let nodes = (0..n).map(|rank| Node {
            at: at(rank),
            name: rank.to_string(),
            note: match &self.shape {
                Shape::Grid { dimensions, .. } if dimensions.len() > 1 => place(&self.coords(rank)),
                _ => String::new(),
            },
            is_marked: self.own == Some(rank),
        });
        let (links, stubs) = self.lines();
        Network {
            title: self.heading(),
            nodes: nodes.collect(),
            links,
            stubs,
            marked_label: "this rank".to_owned(),
            dashed_label: "joined ends".to_owned(),
            text: self.words(),
        }
    }

    fn lines(&self) -> (Vec<Link>, Vec<Stub>) {
        let (mut links, mut stubs) = (Vec::new(), Vec::new());
        match &self.shape {
            Shape::Graph { edges, .. } => {
                let edges: BTreeSet<(usize, usize)> = edges.iter().copied().collect();
                for &(from, to) in &edges {
                    let both = from != to && edges.contains(&(to, from));
                    if !both || from < to {
                        links.push(Link {
                            from,
                            to,
                            both,
                            is_dashed: false,
                        });
                    }
                }
            }
            Shape::Grid { dimensions, .. } => {
                // On a circle the closing link has its place, on a sheet it leads out.
                let is_sheet = (2..=3).contains(&dimensions.len());
                for rank in 0..self.len() {
                    for dimension in 0..dimensions.len() {
                        let [before, behind] = self.beside(rank, dimension);
                        let at = self.coords(rank)[dimension];
                        let is_last = at + 1 == dimensions[dimension];
                        if let Some(to) = behind.filter(|_| !is_last || !is_sheet) {
                            links.push(Link {
                                from: rank,
                                to,
                                both: rank != to,
                                is_dashed: is_last,
                            });
                        }
                        let outwards = [(before, at == 0, -1.0), (behind, is_last, 1.0)];
                        for (to, is_edge, sign) in outwards {
                            let Some(to) = to.filter(|_| is_edge && is_sheet) else {
                                continue;
                            };
                            let direction = match dimensions.len() - dimension {
                                1 => (sign, 0.0),
                                2 => (0.0, sign),
                                _ => (sign * PLANE.0, sign * PLANE.1),
                            };
                            stubs.push(Stub {
                                from: rank,
                                direction,
                                to: to.to_string(),
                            });
                        }
                    }
                }
            }
        }
        (links, stubs)
    }
}

/// `(0, 2)`, as it is said of places.
fn place(coords: &[usize]) -> String {
    let coords: Vec<String> = coords.iter().map(usize::to_string).collect();
    format!("({})", coords.join(", "))
}

/// The first at the top, then clockwise, neighbours at a distance of at least 1.
fn on_circle(rank: usize, n: usize) -> (f64, f64) {
    let n = n.max(1) as f64;
    let angle = std::f64::consts::TAU * rank as f64 / n;
    let radius = (0.5 / (std::f64::consts::PI / n).sin()).clamp(0.9, 40.0);
    (radius * angle.sin(), -radius * angle.cos())
}

/// A line for each rank: where it is and who its neighbours are.
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.heading(), self.words())
    }
}

impl Figure for Topology {
    fn to_svg(&self) -> Result<String, PlotError> {
        Ok(self.picture()?.standalone())
    }

    fn picture(&self) -> Result<Picture, PlotError> {
        if self.len() > MOST_NODES {
            return Err(PlotError::DrawingFailed {
                title: self.heading(),
                reason: format!("a picture shows at most {MOST_NODES} ranks"),
            });
        }
        self.network().draw()
    }
}

impl Show for Topology {
    /// The picture, or words where there are none or too many ranks.
    fn show(&self) -> Bundle {
        match self.picture() {
            Ok(picture) => picture.bundle(),
            Err(_) => Bundle::new().text(self.to_string()),
        }
    }
}

impl Cartesian {
    /// The grid as a picture, with this rank marked. No other rank is asked.
    pub fn picture(&self) -> Topology {
        Topology::grid(self.dimensions(), self.periods()).mark(self.rank())
    }
}

impl Show for Cartesian {
    fn show(&self) -> Bundle {
        self.picture().show()
    }
}

impl Graph {
    /// The graph as a picture with the links of all ranks, this one marked. All ranks call it.
    ///
    /// # Errors
    /// The ranks are not all in this call.
    #[track_caller]
    pub fn picture(&self) -> MpiResult<Topology> {
        let lists = self.allgather(self.neighbors().to_vec())?;
        Ok(Topology::graph(&lists).mark(self.rank()))
    }
}

impl Show for Graph {
    /// What this rank knows: the ranks to which it sends, and from which it receives.
    fn show(&self) -> Bundle {
        let rank = self.rank();
        let mut edges: Vec<_> = self.neighbors().iter().map(|&to| (rank, to)).collect();
        edges.extend(self.known_sources().iter().map(|&from| (from, rank)));
        let shape = Shape::Graph {
            n: self.size(),
            edges,
            is_whole: false,
        };
        Topology::of(shape).mark(rank).show()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_neighbours_are_those_of_the_recipe() {
        let mesh = Topology::grid(&[2, 2], &[false, false]);
        assert_eq!(
            mesh.to_string(),
            "grid of 2 × 2 ranks\n\
             0 at (0, 0): up -, down 2, left -, right 1\n\
             1 at (0, 1): up -, down 3, left 0, right -\n\
             2 at (1, 0): up 0, down -, left -, right 3\n\
             3 at (1, 1): up 1, down -, left 2, right -"
        );
        let torus = Topology::grid(&[2, 2], &[true, true]);
        let all: Vec<_> = (0..4).map(|rank| torus.neighbors(rank)).collect();
        assert_eq!(
            all,
            [[2, 2, 1, 1], [3, 3, 0, 0], [0, 0, 3, 3], [1, 1, 2, 2]]
        );
        let ring = Topology::grid(&[5], &[true]);
        assert_eq!(ring.neighbors(0), [4, 1]);
        assert!(ring.to_string().contains("4 at (4): before 3, behind 0"));
        let cube = Topology::grid(&[2, 2, 2], &[]);
        assert_eq!(cube.neighbors(5), [1, 7, 4]);
        assert_eq!(cube.coords(5), [1, 0, 1]);
    }

    #[test]
    fn links_are_drawn_once_and_joined_ends_lead_out() {
        let mesh = Topology::grid(&[2, 3], &[false, false]).lines();
        assert_eq!((mesh.0.len(), mesh.1.len()), (7, 0));
        let torus = Topology::grid(&[2, 3], &[true, true]).lines();
        assert_eq!((torus.0.len(), torus.1.len()), (7, 10));
        let ring = Topology::grid(&[5], &[true]).lines();
        assert_eq!((ring.0.len(), ring.1.len()), (5, 0));
        assert_eq!(ring.0.iter().filter(|link| link.is_dashed).count(), 1);
        // There and back is one link, twice the same too.
        let graph = Topology::graph(&[vec![1, 1, 2], vec![0], vec![2]]).lines();
        let links: Vec<_> = graph
            .0
            .iter()
            .map(|link| (link.from, link.to, link.both))
            .collect();
        assert_eq!(links, [(0, 1, true), (0, 2, false), (2, 2, false)]);
    }

    #[test]
    fn every_shape_has_a_picture_and_words() {
        let shapes = [
            Topology::grid(&[4], &[false]),
            Topology::grid(&[1], &[true]),
            Topology::grid(&[3, 4], &[true, false]).mark(5),
            Topology::grid(&[3, 2, 2], &[true, true, true]),
            Topology::grid(&[2, 2, 2, 2], &[]),
            Topology::graph(&[vec![1], vec![]]),
            // A node that nobody listed.
            Topology::graph(&[vec![3]]),
        ];
        for shape in &shapes {
            let bundle = shape.clone().title("a title").show();
            assert!(bundle.get("text/html").unwrap().contains("a title"));
            assert!(
                bundle.plain_text().starts_with("a title\n0 "),
                "{}",
                bundle.plain_text()
            );
        }
        let marked = shapes[2].to_svg().unwrap();
        assert!(
            marked.contains("this rank") && marked.contains("joined ends"),
            "{marked}"
        );
        assert!(shapes[2].to_string().starts_with("cylinder of 3 × 4 ranks"));
    }

    #[test]
    fn what_cannot_be_drawn_is_told_in_words() {
        for shape in [
            Topology::grid(&[0, 3], &[]),
            Topology::graph(&[]),
            Topology::grid(&[1_000, 1_000], &[true, true]),
            Topology::grid(&[usize::MAX, 2], &[]),
        ] {
            let bundle = shape.show();
            assert!(bundle.get("text/html").is_none());
            assert!(bundle.plain_text().contains("of"));
            assert!(shape.to_svg().is_err());
            assert!(shape.neighbors(usize::MAX).is_empty());
        }
    }
}
