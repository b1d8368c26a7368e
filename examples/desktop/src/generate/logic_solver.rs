//! A Sudoku solver by logic and search. It counts solutions, and tells whether singles suffice.

use crate::board::houses;

/// A set of digits: bit d - 1 stands for digit d.
type Digits = u16;

/// The houses of a Sudoku of one size.
#[derive(Debug, Clone)]
pub(super) struct LogicSolver {
    side: usize,
    houses: Vec<Vec<usize>>,
    /// The houses of each cell: its row, its column and its box.
    houses_of_cell: Vec<Vec<usize>>,
}

impl LogicSolver {
    pub(super) fn new(side: usize, boxes: [usize; 2]) -> Self {
        let houses = houses(side, boxes);
        let holds = |cell: usize| {
            (0..houses.len())
                .filter(|&h| houses[h].contains(&cell))
                .collect()
        };
        let houses_of_cell = (0..side * side).map(holds).collect();
        Self {
            side,
            houses,
            houses_of_cell,
        }
    }

    /// Returns whether there is exactly one solution.
    pub(super) fn has_one_solution(&self, cells: &[u8]) -> bool {
        let mut search = Search::new(self, cells);
        search.run(2, &mut |_| {});
        search.found == 1
    }

    /// Returns the first solution of an empty grid. `order` chooses the order in which the digits
    /// of a cell are tried.
    pub(super) fn fill(&self, mut order: impl FnMut(&mut [u8])) -> Vec<u8> {
        let mut search = Search::new(self, &vec![0; self.side * self.side]);
        search.run(1, &mut order);
        search.solution
    }

    /// Returns whether singles solve the Sudoku: naked singles (a cell with one digit left) and
    /// hidden singles (a digit with one cell left in a house).
    pub(super) fn is_solved_by_singles(&self, cells: &[u8]) -> bool {
        let mut search = Search::new(self, cells);
        loop {
            let mut progress = false;
            for cell in 0..search.cells.len() {
                let digits = search.candidates(cell);
                if search.cells[cell] == 0 && digits.is_power_of_two() {
                    search.put(cell, digits);
                    progress = true;
                }
            }
            for house in &self.houses {
                for digit in (0..self.side).map(|d| 1 << d) {
                    let fits = |cell: usize| {
                        search.cells[cell] == 0 && search.candidates(cell) & digit != 0
                    };
                    let mut fitting = house.iter().copied().filter(|&cell| fits(cell));
                    if let (Some(cell), None) = (fitting.next(), fitting.next()) {
                        search.put(cell, digit);
                        progress = true;
                    }
                }
            }
            if !progress {
                return !search.cells.contains(&0);
            }
        }
    }
}

/// A depth-first search. It continues with the cell that has the fewest candidates.
struct Search<'a> {
    solver: &'a LogicSolver,
    cells: Vec<u8>,
    /// The digits that each house already holds.
    used: Vec<Digits>,
    /// The number of solutions found.
    found: usize,
    /// The first solution found.
    solution: Vec<u8>,
}

impl<'a> Search<'a> {
    fn new(solver: &'a LogicSolver, cells: &[u8]) -> Self {
        let mut search = Search {
            solver,
            cells: vec![0; cells.len()],
            used: vec![0; solver.houses.len()],
            found: 0,
            solution: Vec::new(),
        };
        for (cell, &digit) in cells.iter().enumerate().filter(|(_, digit)| **digit > 0) {
            search.put(cell, 1 << (digit - 1));
        }
        search
    }

    /// Returns the digits that no house of the cell holds.
    fn candidates(&self, cell: usize) -> Digits {
        let houses = self.solver.houses_of_cell[cell].iter();
        let used = houses.fold(0, |used, &house| used | self.used[house]);
        ((1 << self.solver.side) - 1) & !used
    }

    fn put(&mut self, cell: usize, digit: Digits) {
        self.cells[cell] = digit.trailing_zeros() as u8 + 1;
        for &house in &self.solver.houses_of_cell[cell] {
            self.used[house] |= digit;
        }
    }

    fn remove(&mut self, cell: usize, digit: Digits) {
        self.cells[cell] = 0;
        for &house in &self.solver.houses_of_cell[cell] {
            self.used[house] &= !digit;
        }
    }

    /// Counts solutions up to `limit` and keeps the first. `order` may reorder the digits that are
    /// tried for a cell.
    fn run(&mut self, limit: usize, order: &mut dyn FnMut(&mut [u8])) {
        let mut best: Option<(usize, Digits)> = None;
        for cell in (0..self.cells.len()).filter(|&cell| self.cells[cell] == 0) {
            let digits = self.candidates(cell);
            if best.is_none_or(|(_, fewest)| digits.count_ones() < fewest.count_ones()) {
                best = Some((cell, digits));
                if digits.count_ones() <= 1 {
                    break;
                }
            }
        }
        let Some((cell, digits)) = best else {
            self.found += 1;
            if self.found == 1 {
                self.solution.clone_from(&self.cells);
            }
            return;
        };
        let is_candidate = |digit: &u8| digits >> digit & 1 == 1;
        let mut order_of_digits: Vec<u8> =
            (0..self.solver.side as u8).filter(is_candidate).collect();
        order(&mut order_of_digits);
        for digit in order_of_digits.into_iter().map(|d| 1 << d) {
            if self.found >= limit {
                return;
            }
            self.put(cell, digit);
            self.run(limit, order);
            self.remove(cell, digit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singles_are_found_to_the_end_and_nothing_else_is() {
        let solver = LogicSolver::new(9, [3, 3]);
        let cells = |text: &str| {
            text.bytes()
                .map(|c| if c == b'.' { 0 } else { c - b'0' })
                .collect::<Vec<_>>()
        };
        let easy = cells(
            "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
        );
        assert!(solver.has_one_solution(&easy) && solver.is_solved_by_singles(&easy));
        let hard = cells(
            "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..",
        );
        assert_eq!(
            (
                solver.has_one_solution(&hard),
                solver.is_solved_by_singles(&hard)
            ),
            (true, false)
        );
        assert!(!solver.has_one_solution(&[0; 81]) && !solver.is_solved_by_singles(&[0; 81]));
    }
}
