//! What the streams need from the engine ([`Files`]) and from the session ([`Hosts`]). The engine's failures are distinguished
//! only by what a stream does about them.

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Temporary: another attempt may succeed.
    Temporary(String),
    /// Permanent: another attempt would fail too.
    Final(String),
    /// There is no session now.
    Disconnected(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Temporary(why) | Self::Final(why) | Self::Disconnected(why) => f.write_str(why),
        }
    }
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) content_length: u64,
}

/// What a host answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) status: u16,
}

/// A request that is being sent, then its response.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub(crate) trait Exchange {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Trouble>;
    async fn finish(&mut self) -> Result<Opened, Trouble>;
    /// Empty at the end.
    async fn read(&mut self, len: u32) -> Result<Vec<u8>, Trouble>;
}

/// A file that is being written to the engine's store. If it is dropped before its end, nothing is stored.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub(crate) trait Sink {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Trouble>;
    async fn finish(self) -> Result<pombo_plugin::connector::events::StoredMedia, Trouble>;
}

/// The engine's store of files and its way to the network.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub(crate) trait Files {
    type Exchange: Exchange;
    type Sink: Sink;
    async fn open(&self, head: Head) -> Result<Self::Exchange, Trouble>;
    /// At most `len` bytes from `offset`; empty at the end.
    async fn read(&self, id: &str, offset: u64, len: u32) -> Result<Vec<u8>, Trouble>;
    async fn store(&self, filename: &str, content_type: &str) -> Result<Self::Sink, Trouble>;
    /// Lets the instance's other tasks run. To be awaited for every piece: a stream whose steps never have to wait would
    /// otherwise hold the processor for the whole file, which the engine does not allow.
    async fn give_way(&self);
}

/// The channel's hosts of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// `https://host`, the best first.
    pub(crate) bases: Vec<String>,
    /// The session's credential for uploads.
    pub(crate) auth: String,
}

/// What the session knows of the channel's files.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub(crate) trait Hosts {
    /// `fresh`: the last one was refused.
    async fn route(&self, fresh: bool) -> Result<Route, Trouble>;
    /// Asks the sender's device to put an expired file back; answers with its new path.
    async fn put_back(&self, pending: &super::Pending) -> Result<String, Trouble>;
}

/// An outside in memory, for the tests of the streams.
#[cfg(test)]
pub(crate) mod world {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;
    use std::rc::Rc;

    use pombo_plugin::connector::events::StoredMedia;

    /// What a host does with a request: its status, and the response's body.
    type Answer = Box<dyn Fn(&Head, &[u8]) -> Result<(u16, Vec<u8>), Trouble>>;

    pub(crate) struct World {
        pub(crate) files: HashMap<String, Vec<u8>>,
        pub(crate) answer: Rc<Answer>,
        pub(crate) requests: Rc<RefCell<Vec<(String, Vec<u8>)>>>,
        pub(crate) stored: Rc<RefCell<Vec<Vec<u8>>>>,
        pub(crate) largest_piece: Rc<Cell<usize>>,
        pub(crate) gave_way: Cell<usize>,
        pub(crate) routes: RefCell<Vec<bool>>,
        pub(crate) new_path: Result<String, Trouble>,
    }

    impl World {
        pub(crate) fn new(answer: impl Fn(&Head, &[u8]) -> Result<(u16, Vec<u8>), Trouble> + 'static) -> Self {
            Self {
                files: HashMap::new(),
                answer: Rc::new(Box::new(answer)),
                requests: Rc::default(),
                stored: Rc::default(),
                largest_piece: Rc::default(),
                gave_way: Cell::default(),
                routes: RefCell::default(),
                new_path: Err(Trouble::Final("the phone does not have it".into())),
            }
        }

        pub(crate) fn urls(&self) -> Vec<String> {
            self.requests.borrow().iter().map(|(url, _)| url.clone()).collect()
        }
    }

    pub(crate) struct Running {
        head: Head,
        body: Vec<u8>,
        answer: Rc<Answer>,
        requests: Rc<RefCell<Vec<(String, Vec<u8>)>>>,
        largest_piece: Rc<Cell<usize>>,
        response: std::io::Cursor<Vec<u8>>,
    }

    impl Exchange for Running {
        async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Trouble> {
            self.largest_piece.set(self.largest_piece.get().max(bytes.len()));
            self.body.extend(bytes);
            Ok(())
        }
        async fn finish(&mut self) -> Result<Opened, Trouble> {
            assert_eq!(self.body.len() as u64, self.head.content_length, "as many bytes as were announced");
            self.requests.borrow_mut().push((self.head.url.clone(), self.body.clone()));
            let (status, body) = (self.answer)(&self.head, &self.body)?;
            self.response = std::io::Cursor::new(body);
            Ok(Opened { status })
        }
        async fn read(&mut self, len: u32) -> Result<Vec<u8>, Trouble> {
            let from = self.response.position() as usize;
            let all = self.response.get_ref();
            // Less than asked, as networks do.
            let to = all.len().min(from + (len as usize).min(1_000));
            let piece = all[from..to].to_vec();
            self.response.set_position(to as u64);
            Ok(piece)
        }
    }

    pub(crate) struct Storing {
        bytes: Vec<u8>,
        filename: String,
        content_type: String,
        stored: Rc<RefCell<Vec<Vec<u8>>>>,
    }

    impl Sink for Storing {
        async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Trouble> {
            self.bytes.extend(bytes);
            Ok(())
        }
        async fn finish(self) -> Result<StoredMedia, Trouble> {
            let size = self.bytes.len() as u64;
            self.stored.borrow_mut().push(self.bytes);
            Ok(StoredMedia { id: "stored".into(), filename: self.filename, content_type: self.content_type, size })
        }
    }

    impl Files for World {
        type Exchange = Running;
        type Sink = Storing;
        async fn open(&self, head: Head) -> Result<Running, Trouble> {
            Ok(Running {
                head,
                body: Vec::new(),
                answer: self.answer.clone(),
                requests: self.requests.clone(),
                largest_piece: self.largest_piece.clone(),
                response: std::io::Cursor::default(),
            })
        }
        async fn read(&self, id: &str, offset: u64, len: u32) -> Result<Vec<u8>, Trouble> {
            let file = self.files.get(id).ok_or_else(|| Trouble::Final("there is no such file".into()))?;
            let from = file.len().min(offset as usize);
            Ok(file[from..file.len().min(from + len as usize)].to_vec())
        }
        async fn store(&self, filename: &str, content_type: &str) -> Result<Storing, Trouble> {
            Ok(Storing {
                bytes: Vec::new(),
                filename: filename.to_owned(),
                content_type: content_type.to_owned(),
                stored: self.stored.clone(),
            })
        }
        async fn give_way(&self) {
            self.gave_way.set(self.gave_way.get() + 1);
        }
    }

    impl Hosts for World {
        async fn route(&self, fresh: bool) -> Result<Route, Trouble> {
            self.routes.borrow_mut().push(fresh);
            Ok(Route {
                bases: vec!["https://one".into(), "https://two".into()],
                auth: if fresh { "new" } else { "old" }.into(),
            })
        }
        async fn put_back(&self, _pending: &crate::media::Pending) -> Result<String, Trouble> {
            self.new_path.clone()
        }
    }
}
