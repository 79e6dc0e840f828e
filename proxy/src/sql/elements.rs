//! Where the elements of lists begin in a fingerprint that is being written, so that equal ones are folded.

/// Longest element that is compared with the one before it, so that no statement takes more than time in
/// proportion to its length.
const LONGEST: usize = 512;

/// The beginnings of elements, those of inner brackets last.
#[derive(Debug)]
pub(super) struct Elements {
    starts: Vec<usize>,
    /// Which of them is the first within each pair of brackets that is open.
    levels: Vec<usize>,
}

impl Default for Elements {
    fn default() -> Self {
        Self {
            starts: vec![0],
            levels: vec![0],
        }
    }
}

impl Elements {
    /// A bracket opened at the end of the text.
    pub(super) fn open(&mut self, text: &str) {
        self.levels.push(self.starts.len());
        self.starts.push(text.len());
    }

    /// The last bracket closed. Without one that is open there is nothing to do.
    pub(super) fn close(&mut self) {
        if self.levels.len() > 1
            && let Some(first) = self.levels.pop()
        {
            self.starts.truncate(first);
        }
    }

    /// Behind a comma at the end of the text the next element begins.
    pub(super) fn next(&mut self, text: &str) {
        self.drop_stale(text);
        self.starts.push(text.len());
    }

    /// The list at this depth begins anew at the end of the text.
    pub(super) fn restart(&mut self, text: &str) {
        self.starts.truncate(self.first() + 1);
        if let Some(start) = self.starts.last_mut() {
            *start = text.len();
        }
    }

    /// The element that ends with the text.
    pub(super) fn last<'t>(&mut self, text: &'t str) -> &'t str {
        self.drop_stale(text);
        let start = self.starts.last().copied().unwrap_or_default();
        text.get(start..).unwrap_or_default().trim_start()
    }

    /// Where the text has to end so that its last element is gone, if that is the same as the one before it
    /// and has values.
    pub(super) fn fold(&mut self, text: &str) -> Option<usize> {
        let last = self.last(text);
        let [.., before, start] = *self.starts.get(self.first()..)? else {
            return None;
        };
        // Without the comma between them.
        let end = start.checked_sub(1)?;
        let before = text.get(before..end)?.trim_start();
        let is_same = last.len() <= LONGEST && last.contains('?') && before == last;
        is_same.then(|| {
            self.starts.pop();
            end
        })
    }

    fn first(&self) -> usize {
        self.levels.last().copied().unwrap_or_default()
    }

    /// Forgets elements whose comma was taken back.
    fn drop_stale(&mut self, text: &str) {
        let first = self.first();
        while self.starts.len() > first + 1
            && self.starts.last().is_some_and(|start| *start > text.len())
        {
            self.starts.pop();
        }
    }
}
