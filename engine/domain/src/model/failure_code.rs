//! Why an automation failed to handle an event: the word that is stored with a dead letter and shown in the APIs.

use crate::words::words;

words! {
    /// Why an automation failed to handle an event.
    pub enum FailureCode {
        /// It trapped.
        Trap = "trap",
        /// It did not answer in time.
        Timeout = "timeout",
        /// It used more processor time than is granted.
        Processor = "processor",
        /// It needed more memory than is granted.
        Memory = "memory",
        /// It returned an error.
        Error = "error",
        /// Its answer cannot be carried out.
        Unfit = "unfit",
        /// In a replay, it asked for something that was not recorded.
        Diverged = "diverged",
        /// In a replay, it could not be called, through no fault of its own.
        NotCalled = "not-called",
    }
}
