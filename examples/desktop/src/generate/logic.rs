//! What can be said of a Sudoku by thinking: its solutions, and whether it falls to the simplest steps.

use crate::board::houses;

/// A set of digits: bit d - 1 is digit d.
type Digits = u16;

/// The cells of a Sudoku, each with the digits that it may hold.
#[derive(Debug, Clone)]
pub(super) struct Logic {
    side: usize,
    houses: Vec<Vec<usize>>,
    /// The houses of each cell: its row, its column, its box.
    of_cell: Vec<Vec<usize>>,
}

impl Logic {
    pub(super) fn new(side: usize, boxes: [usize; 2]) -> Logic {
        let houses = houses(side, boxes);
        let holds = |cell: usize| (0..houses.len()).filter(|&h| houses[h].contains(&cell)).collect();
        let of_cell = (0..side * side).map(holds).collect();
        Logic {
            side,
            houses,
            of_cell,
        }
    }

    /// Whether there is one solution, and only one.
    pub(super) fn is_unique(&self, cells: &[u8]) -> bool {
        let mut search = Search::over(self, cells);
        search.run(2, &mut |_| {});
        search.found == 1
    }

    /// The first solution of an empty grid, of which `order` decides the digit to try next.
    pub(super) fn fill(&self, order: impl FnMut(&mut [u8])) -> Vec<u8> {
        let mut search = Search::over(self, &vec![0; self.side * self.side]);
        let mut order = order;
        search.run(1, &mut order);
        search.solution
    }

    /// Whether naked singles (a cell with one digit left) and hidden singles (a digit with one cell left in a house) solve it.
    pub(super) fn falls_to_singles(&self, cells: &[u8]) -> bool {
        let mut state = Search::over(self, cells);
        loop {
            let mut moved = false;
            for cell in 0..state.cells.len() {
                let digits = state.candidates(cell);
                if state.cells[cell] == 0 && digits.is_power_of_two() {
                    state.put(cell, digits);
                    moved = true;
                }
            }
            for house in &self.houses {
                for digit in (0..self.side).map(|d| 1 << d) {
                    let mut places = house
                        .iter()
                        .filter(|&&cell| state.cells[cell] == 0 && state.candidates(cell) & digit != 0);
                    if let (Some(&cell), None) = (places.next(), places.next()) {
                        state.put(cell, digit);
                        moved = true;
                    }
                }
            }
            if !moved {
                return !state.cells.contains(&0);
            }
        }
    }
}

/// A depth-first search in the cell with the fewest digits left.
struct Search<'a> {
    logic: &'a Logic,
    cells: Vec<u8>,
    /// The digits that each house holds.
    used: Vec<Digits>,
    found: usize,
    solution: Vec<u8>,
}

impl<'a> Search<'a> {
    fn over(logic: &'a Logic, cells: &[u8]) -> Search<'a> {
        let mut search = Search {
            logic,
            cells: vec![0; cells.len()],
            used: vec![0; logic.houses.len()],
            found: 0,
            solution: Vec::new(),
        };
        for (cell, &digit) in cells.iter().enumerate().filter(|(_, digit)| **digit > 0) {
            search.put(cell, 1 << (digit - 1));
        }
        search
    }

    /// The digits that no house of the cell holds.
    fn candidates(&self, cell: usize) -> Digits {
        let used = self.logic.of_cell[cell]
            .iter()
            .fold(0, |used, &house| used | self.used[house]);
        ((1 << self.logic.side) - 1) & !used
    }

    fn put(&mut self, cell: usize, digit: Digits) {
        self.cells[cell] = digit.trailing_zeros() as u8 + 1;
        for &house in &self.logic.of_cell[cell] {
            self.used[house] |= digit;
        }
    }

    fn take(&mut self, cell: usize, digit: Digits) {
        self.cells[cell] = 0;
        for &house in &self.logic.of_cell[cell] {
            self.used[house] &= !digit;
        }
    }

    /// Counts solutions up to `limit`; the first is kept. `order` may reorder the digits of a cell.
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
        let mut tries: Vec<u8> = (0..self.logic.side as u8)
            .filter(|d| digits >> d & 1 == 1)
            .collect();
        order(&mut tries);
        for digit in tries.into_iter().map(|d| 1 << d) {
            if self.found >= limit {
                return;
            }
            self.put(cell, digit);
            self.run(limit, order);
            self.take(cell, digit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singles_are_tried_to_their_end_and_nothing_more() {
        let logic = Logic::new(9, [3, 3]);
        let cells = |text: &str| {
            text.bytes()
                .map(|c| if c == b'.' { 0 } else { c - b'0' })
                .collect::<Vec<_>>()
        };
        let easy = cells("53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79");
        assert!(logic.is_unique(&easy) && logic.falls_to_singles(&easy));
        let hard = cells("8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..");
        assert_eq!(
            (logic.is_unique(&hard), logic.falls_to_singles(&hard)),
            (true, false)
        );
        assert!(!logic.is_unique(&[0; 81]) && !logic.falls_to_singles(&[0; 81]));
    }
}
