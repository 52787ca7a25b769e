//! The order in which values that depend on each other are evaluated.

/// How many cycles are told.
const MAX_CYCLES: usize = 20;

/// The nodes in an order in which each comes after those it depends on, and the cycles that prevent it.
pub(super) struct Sorted {
    /// Every node once. Those of a cycle come in some order.
    pub(super) order: Vec<usize>,
    /// Each as the nodes along it, every one depending on the next and the last on the first.
    pub(super) cycles: Vec<Vec<usize>>,
}

/// Sorts nodes by what each depends on. Takes time in proportion to the number of dependencies, and no stack.
pub(super) fn sort(dependencies: &[Vec<usize>]) -> Sorted {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        /// On the path, at this position.
        Open(usize),
        Done,
    }
    let mut marks = vec![Mark::New; dependencies.len()];
    let mut sorted = Sorted { order: Vec::with_capacity(dependencies.len()), cycles: Vec::new() };
    for start in 0..dependencies.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::Open(0);
        // The nodes on the path, with how many of their dependencies have been followed.
        let mut path = vec![(start, 0)];
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            let Some(&next) = dependencies[node].get(*followed) else {
                marks[node] = Mark::Done;
                sorted.order.push(node);
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[next] {
                Mark::New => {
                    marks[next] = Mark::Open(path.len());
                    path.push((next, 0));
                }
                Mark::Open(position) if sorted.cycles.len() < MAX_CYCLES => {
                    sorted.cycles.push(path[position..].iter().map(|(node, _)| *node).collect());
                }
                Mark::Open(_) | Mark::Done => {}
            }
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_depended_on_comes_first() {
        let sorted = sort(&[vec![1, 2], vec![2], vec![], vec![0]]);
        assert_eq!(sorted.order, [2, 1, 0, 3]);
        assert!(sorted.cycles.is_empty());
    }

    #[test]
    fn cycles_are_found_each_once() {
        let sorted = sort(&[vec![1], vec![2], vec![1], vec![3]]);
        assert_eq!(sorted.cycles, [vec![1, 2], vec![3]]);
        assert_eq!(sorted.order.len(), 4);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_takes_no_stack() {
        let chain: Vec<Vec<usize>> = (0..100_000).map(|node| vec![(node + 1) % 100_000]).collect();
        let sorted = sort(&chain);
        assert_eq!((sorted.order.len(), sorted.cycles.len()), (100_000, 1));
    }
}
