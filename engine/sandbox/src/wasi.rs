//! WASI 0.2 for guests whose language needs it: interpreters import it whole, whatever their program does. There are no files, no
//! environment, no arguments and no network behind it; only clocks, randomness, sleeping and the standard streams work.
//!
//! The functions are defined for each component by the names that it imports, over dynamic values. Typed bindings of all of WASI took
//! longer to compile than the rest of this crate, and a guest calls these functions a few times a call at most.
//!
//! Runs on the task of the guest's call. This module must not know what kind of plugin it serves: a store's data gives it a [`Wasi`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use pombo_domain::ports::{Clock, Entropy};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, InstancePre, Linker, LinkerInstance, Resource, ResourceAny, ResourceTable, ResourceType, Val,
};
use wasmtime::{StoreContextMut, bail, format_err};

use crate::randomness::Randomness;

/// Pollables that a guest may hold at once.
const POLLABLES: usize = 64;
/// Bytes that one request for randomness may ask for.
const RANDOM_BYTES: u64 = 64 << 10;
/// Bytes that a guest is told it may write to a stream at once.
const WRITE_BYTES: u64 = 64 << 10;
/// Bytes of the standard error that are kept; the rest is dropped.
const STDERR_BYTES: usize = 16 << 10;

/// A store's data that has WASI's.
pub(crate) trait WasiState: Send + 'static {
    /// What WASI keeps in this store.
    fn wasi(&mut self) -> &mut Wasi;
}

/// What WASI keeps in one store.
pub(crate) struct Wasi {
    source: Source,
    stderr: Vec<u8>,
    pollables: ResourceTable,
}

/// Where time and randomness come from.
enum Source {
    /// The host's own.
    Live { clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, started: Instant },
    /// A call's recorded time and seed, so that a replay sees the same.
    Recorded {
        now: Duration,
        seed: u64,
        /// Nanoseconds that the monotonic clock has shown: each look adds a microsecond.
        shown: u64,
        secure: Randomness,
        insecure: Randomness,
    },
}

impl Wasi {
    /// With the host's clocks and randomness.
    pub(crate) fn live(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self::new(Source::Live { clock, entropy, started: Instant::now() })
    }

    /// With a wall clock that stands at `now` (since 1970), and randomness drawn from `seed`.
    pub(crate) fn recorded(now: Duration, seed: u64) -> Self {
        let (secure, insecure) = (Randomness::new(seed, 1), Randomness::new(seed, 2));
        Self::new(Source::Recorded { now, seed, shown: 0, secure, insecure })
    }

    fn new(source: Source) -> Self {
        let mut pollables = ResourceTable::new();
        pollables.set_max_capacity(POLLABLES);
        Self { source, stderr: Vec::new(), pollables }
    }

    /// What the guest wrote to its standard error, as far as it was kept.
    pub(crate) fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    fn write(&mut self, stream: u32, bytes: impl Iterator<Item = u8>) {
        if stream == STDERR {
            self.stderr.extend(bytes.take(STDERR_BYTES - self.stderr.len()));
        }
    }

    fn monotonic(&mut self) -> u64 {
        match &mut self.source {
            Source::Live { started, .. } => started.elapsed().as_nanos() as u64,
            Source::Recorded { shown, .. } => std::mem::replace(shown, *shown + 1000),
        }
    }

    fn wall(&self) -> Duration {
        match &self.source {
            Source::Live { clock, .. } => Duration::from_millis(clock.now().0.max(0) as u64),
            Source::Recorded { now, .. } => *now,
        }
    }

    fn number(&mut self, secure: bool) -> u64 {
        match &mut self.source {
            Source::Live { entropy, .. } => entropy.u64(),
            Source::Recorded { secure: generator, .. } if secure => generator.number(),
            Source::Recorded { insecure, .. } => insecure.number(),
        }
    }

    /// Of a recorded source, each byte is the lowest one of a number of its own: recordings hold what was made of them.
    fn bytes(&mut self, len: u64, secure: bool) -> wasmtime::Result<Val> {
        if len > RANDOM_BYTES {
            bail!("{len} random bytes are more than the {RANDOM_BYTES} that one request may ask for");
        }
        let mut bytes = vec![0; len as usize];
        match &mut self.source {
            Source::Live { entropy, .. } => entropy.fill(&mut bytes),
            Source::Recorded { .. } => bytes.iter_mut().for_each(|byte| *byte = self.number(secure) as u8),
        }
        Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
    }

    fn seed(&mut self) -> u64 {
        match &self.source {
            Source::Live { entropy, .. } => entropy.u64(),
            Source::Recorded { seed, .. } => *seed,
        }
    }

    /// A pollable that is ready after `wait`.
    fn pollable(&mut self, wait: Duration) -> wasmtime::Result<Resource<Pollable>> {
        // Later than the clock can say is never.
        Ok(self.pollables.push(Pollable(Instant::now().checked_add(wait)))?)
    }
}

/// When it is ready; `None` is never.
struct Pollable(Option<Instant>);
/// The standard input, which is closed.
struct InputStream;
/// A standard output; its handle says which one.
struct OutputStream;
/// Resources that no guest is ever given.
struct Nothing;
/// The network, through which nothing can be reached.
struct Network;

/// Handles of the standard streams.
const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// Links a component over the host's own interfaces in `linker`, and defines what it imports of WASI. `Err` names the first import that
/// there is not.
pub(crate) fn instantiate_pre<T: WasiState>(
    linker: &Linker<T>,
    component: &Component,
) -> wasmtime::Result<InstancePre<T>> {
    let mut linker = linker.clone();
    define(&mut linker, component)?;
    linker.instantiate_pre(component)
}

fn define<T: WasiState>(linker: &mut Linker<T>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (import, item) in component.component_type().imports(&engine) {
        let Some((package, rest)) = import.strip_prefix("wasi:").and_then(|name| name.split_once('/')) else {
            continue;
        };
        let interface = rest.split('@').next().unwrap_or_default();
        let ComponentItem::ComponentInstance(instance) = item.ty else { bail!("{import} is not an interface") };
        let mut into = linker.instance(import)?;
        for (name, item) in instance.exports(&engine) {
            match item.ty {
                ComponentItem::Resource(_) => resource(&mut into, name)?,
                ComponentItem::ComponentFunc(_) => function(&mut into, (package, interface), name)?,
                _ => {}
            }
        }
    }
    Ok(())
}

fn resource<T: WasiState>(into: &mut LinkerInstance<'_, T>, name: &str) -> wasmtime::Result<()> {
    let kind = match name {
        "pollable" => {
            return into.resource(name, ResourceType::host::<Pollable>(), |mut store, handle| {
                store.data_mut().wasi().pollables.delete(Resource::<Pollable>::new_own(handle))?;
                Ok(())
            });
        }
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "network" => ResourceType::host::<Network>(),
        _ => ResourceType::host::<Nothing>(),
    };
    into.resource(name, kind, |_, _| Ok(()))
}

/// Defines one function.
fn function<T: WasiState>(
    into: &mut LinkerInstance<'_, T>,
    interface: (&str, &str),
    name: &str,
) -> wasmtime::Result<()> {
    if matches!((interface, name), (("io", "poll"), "poll" | "[method]pollable.block")) {
        return into.func_new_async(name, |store, _, params, results| Box::new(wait(store, params, results)));
    }
    let Some(function) = Function::of(interface, name) else {
        bail!("wasi:{}/{} has no function {name}", interface.0, interface.1);
    };
    into.func_new(name, move |store, _, params, results| {
        let answer = function.call(store, params)?;
        match (results, answer) {
            ([result], Some(answer)) => *result = answer,
            ([], None) => {}
            _ => bail!("a WASI function was imported with another type than its own"),
        }
        Ok(())
    })
}

/// The functions of WASI, by what they do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    /// An empty list: arguments, variables, folders.
    Empty,
    /// Nothing: a working directory, a terminal.
    Absent,
    Exit,
    Stdin,
    Output(u32),
    MonotonicNow,
    MonotonicResolution,
    SubscribeInstant,
    SubscribeDuration,
    WallNow,
    WallResolution,
    RandomBytes {
        secure: bool,
    },
    RandomNumber {
        secure: bool,
    },
    Seed,
    Ready,
    SubscribeStream,
    /// Of a closed stream.
    Closed,
    CheckWrite,
    Write,
    WriteZeroes,
    Flush,
    Network,
    Denied,
    Unresolved,
    /// A method of something that no guest is ever given.
    Unreachable,
}

impl Function {
    fn of(interface: (&str, &str), name: &str) -> Option<Self> {
        Some(match (interface, name) {
            (("cli", "environment"), "get-environment" | "get-arguments")
            | (("filesystem", "preopens"), "get-directories") => Self::Empty,
            (("cli", "environment"), "initial-cwd")
            | (("cli", "terminal-stdin"), "get-terminal-stdin")
            | (("cli", "terminal-stdout"), "get-terminal-stdout")
            | (("cli", "terminal-stderr"), "get-terminal-stderr")
            | (("filesystem", "types"), "filesystem-error-code")
            | (("sockets", "network"), "network-error-code") => Self::Absent,
            (("cli", "exit"), "exit" | "exit-with-code") => Self::Exit,
            (("cli", "stdin"), "get-stdin") => Self::Stdin,
            (("cli", "stdout"), "get-stdout") => Self::Output(STDOUT),
            (("cli", "stderr"), "get-stderr") => Self::Output(STDERR),
            (("clocks", "monotonic-clock"), "now") => Self::MonotonicNow,
            (("clocks", "monotonic-clock"), "resolution") => Self::MonotonicResolution,
            (("clocks", "monotonic-clock"), "subscribe-instant") => Self::SubscribeInstant,
            (("clocks", "monotonic-clock"), "subscribe-duration") => Self::SubscribeDuration,
            (("clocks", "wall-clock"), "now") => Self::WallNow,
            (("clocks", "wall-clock"), "resolution") => Self::WallResolution,
            (("random", "random"), "get-random-bytes") => Self::RandomBytes { secure: true },
            (("random", "random"), "get-random-u64") => Self::RandomNumber { secure: true },
            (("random", "insecure"), "get-insecure-random-bytes") => Self::RandomBytes { secure: false },
            (("random", "insecure"), "get-insecure-random-u64") => Self::RandomNumber { secure: false },
            (("random", "insecure-seed"), "insecure-seed") => Self::Seed,
            (("io", "poll"), "[method]pollable.ready") => Self::Ready,
            (("io", "streams"), method) => match method.split_once('.')? {
                (_, "subscribe") => Self::SubscribeStream,
                ("[method]input-stream", "read" | "blocking-read" | "skip" | "blocking-skip")
                | ("[method]output-stream", "splice" | "blocking-splice") => Self::Closed,
                ("[method]output-stream", "check-write") => Self::CheckWrite,
                ("[method]output-stream", "write" | "blocking-write-and-flush") => Self::Write,
                ("[method]output-stream", "write-zeroes" | "blocking-write-zeroes-and-flush") => Self::WriteZeroes,
                ("[method]output-stream", "flush" | "blocking-flush") => Self::Flush,
                _ => return None,
            },
            (("sockets", "instance-network"), "instance-network") => Self::Network,
            (("sockets", "tcp-create-socket"), "create-tcp-socket")
            | (("sockets", "udp-create-socket"), "create-udp-socket") => Self::Denied,
            (("sockets", "ip-name-lookup"), "resolve-addresses") => Self::Unresolved,
            (("io", "error") | ("filesystem", "types") | ("sockets", "tcp" | "udp" | "ip-name-lookup"), method)
                if method.starts_with("[method]") =>
            {
                Self::Unreachable
            }
            _ => return None,
        })
    }

    /// The answer; `None` is that of a function without a result.
    fn call<T: WasiState>(self, mut store: StoreContextMut<'_, T>, params: &[Val]) -> wasmtime::Result<Option<Val>> {
        let ok = |value: Option<Val>| Val::Result(Ok(value.map(Box::new)));
        let failed = |value: Val| Val::Result(Err(Some(Box::new(value))));
        let number = || match params.last() {
            Some(Val::U64(number)) => Ok(*number),
            _ => Err(mistyped()),
        };
        let resolution = Duration::from_millis(1);
        Ok(Some(match self {
            Self::Empty => Val::List(Vec::new()),
            Self::Absent => Val::Option(None),
            Self::Exit => {
                let status = match params {
                    [Val::Result(Ok(_))] => 0,
                    [Val::U8(code)] => *code,
                    _ => 1,
                };
                bail!("the guest exited with status {status}");
            }
            Self::Stdin => handle(Resource::<InputStream>::new_own(STDIN), store)?,
            Self::Output(stream) => handle(Resource::<OutputStream>::new_own(stream), store)?,
            Self::MonotonicNow => Val::U64(store.data_mut().wasi().monotonic()),
            Self::MonotonicResolution => Val::U64(1000),
            Self::SubscribeInstant => {
                let wasi = store.data_mut().wasi();
                let wait = number()?.saturating_sub(wasi.monotonic());
                let pollable = wasi.pollable(Duration::from_nanos(wait))?;
                handle(pollable, store)?
            }
            Self::SubscribeDuration => {
                let pollable = store.data_mut().wasi().pollable(Duration::from_nanos(number()?))?;
                handle(pollable, store)?
            }
            Self::WallNow => datetime(store.data_mut().wasi().wall()),
            Self::WallResolution => datetime(resolution),
            Self::RandomBytes { secure } => store.data_mut().wasi().bytes(number()?, secure)?,
            Self::RandomNumber { secure } => Val::U64(store.data_mut().wasi().number(secure)),
            Self::Seed => {
                let seed = store.data_mut().wasi().seed();
                Val::Tuple(vec![Val::U64(seed), Val::U64(0)])
            }
            Self::Ready => {
                let deadline = deadline(&mut store, params.first())?;
                Val::Bool(deadline.is_some_and(|at| at <= Instant::now()))
            }
            Self::SubscribeStream => {
                let pollable = store.data_mut().wasi().pollable(Duration::ZERO)?;
                handle(pollable, store)?
            }
            Self::Closed => failed(Val::Variant("closed".to_owned(), None)),
            Self::CheckWrite => ok(Some(Val::U64(WRITE_BYTES))),
            Self::Write => {
                let [stream, Val::List(bytes)] = params else { return Err(mistyped()) };
                let stream = borrowed::<OutputStream, T>(&mut store, stream)?.rep();
                let bytes = bytes.iter().map_while(|byte| if let Val::U8(byte) = byte { Some(*byte) } else { None });
                store.data_mut().wasi().write(stream, bytes);
                ok(None)
            }
            Self::WriteZeroes => {
                let [stream, Val::U64(len)] = params else { return Err(mistyped()) };
                let stream = borrowed::<OutputStream, T>(&mut store, stream)?.rep();
                store.data_mut().wasi().write(stream, (0..*len).map(|_| 0));
                ok(None)
            }
            Self::Flush => ok(None),
            Self::Network => handle(Resource::<Network>::new_own(0), store)?,
            Self::Denied => failed(Val::Enum("access-denied".to_owned())),
            Self::Unresolved => failed(Val::Enum("permanent-resolver-failure".to_owned())),
            Self::Unreachable => bail!("a method of a file, a socket or an error was called, and there is none"),
        }))
    }
}

fn mistyped() -> wasmtime::Error {
    format_err!("a WASI function was called with other values than its own")
}

fn datetime(time: Duration) -> Val {
    let (seconds, nanoseconds) = (Val::U64(time.as_secs()), Val::U32(time.subsec_nanos()));
    Val::Record(vec![("seconds".to_owned(), seconds), ("nanoseconds".to_owned(), nanoseconds)])
}

/// Gives the guest a handle of its own.
fn handle<R: 'static, T: 'static>(resource: Resource<R>, store: StoreContextMut<'_, T>) -> wasmtime::Result<Val> {
    Ok(Val::Resource(ResourceAny::try_from_resource(resource, store)?))
}

/// Reads a handle that the guest lent.
fn borrowed<R: 'static, T: 'static>(store: &mut StoreContextMut<'_, T>, value: &Val) -> wasmtime::Result<Resource<R>> {
    match value {
        Val::Resource(any) => any.try_into_resource::<R>(store),
        _ => Err(mistyped()),
    }
}

/// When a pollable is ready; `None` is never.
fn deadline<T: WasiState>(
    store: &mut StoreContextMut<'_, T>,
    pollable: Option<&Val>,
) -> wasmtime::Result<Option<Instant>> {
    let pollable = borrowed::<Pollable, T>(store, pollable.ok_or_else(mistyped)?)?;
    Ok(store.data_mut().wasi().pollables.get(&pollable)?.0)
}

/// `poll` and `pollable.block`: returns when one of the pollables is ready.
async fn wait<T: WasiState>(
    mut store: StoreContextMut<'_, T>,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let asked = match params {
        [Val::List(list)] if list.is_empty() => bail!("a guest polled for nothing"),
        [Val::List(list)] => list.as_slice(),
        one => one,
    };
    let mut deadlines = Vec::with_capacity(asked.len());
    for pollable in asked {
        deadlines.push(deadline(&mut store, Some(pollable))?);
    }
    match deadlines.iter().flatten().min() {
        Some(first) => tokio::time::sleep_until((*first).into()).await,
        None => std::future::pending().await,
    }
    let now = Instant::now();
    if let [ready] = results {
        let places = (0u32..).zip(&deadlines).filter(|(_, at)| at.is_some_and(|at| at <= now));
        *ready = Val::List(places.map(|(place, _)| Val::U32(place)).collect());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_of_wasi_are_there() {
        for (interface, name, function) in [
            (("cli", "environment"), "get-environment", Some(Function::Empty)),
            (("cli", "exit"), "exit", Some(Function::Exit)),
            (("io", "streams"), "[method]input-stream.read", Some(Function::Closed)),
            (("io", "streams"), "[method]output-stream.blocking-write-and-flush", Some(Function::Write)),
            (("io", "streams"), "[method]output-stream.read", None),
            (("filesystem", "types"), "[method]descriptor.open-at", Some(Function::Unreachable)),
            (("sockets", "tcp"), "[method]tcp-socket.start-connect", Some(Function::Unreachable)),
            (("sockets", "tcp-create-socket"), "create-tcp-socket", Some(Function::Denied)),
            (("random", "random"), "get-random-bytes", Some(Function::RandomBytes { secure: true })),
            (("random", "random"), "get-more", None),
            (("http", "outgoing-handler"), "handle", None),
        ] {
            assert_eq!(Function::of(interface, name), function, "{interface:?} {name}");
        }
    }

    #[test]
    fn a_recorded_source_gives_the_same_again() {
        let first = |wasi: &mut Wasi| {
            let bytes = wasi.bytes(4, true).expect("few enough");
            (bytes, wasi.number(true), wasi.number(false), wasi.seed(), wasi.monotonic(), wasi.monotonic(), wasi.wall())
        };
        let now = Duration::from_secs(1_700_000_000);
        let one = first(&mut Wasi::recorded(now, 42));
        assert_eq!(one, first(&mut Wasi::recorded(now, 42)));
        let (bytes, secure, insecure, seed, begin, next, wall) = one;
        // Recordings hold what was made of these.
        let mut numbers = Randomness::new(42, 1);
        let expected: Vec<Val> = (0..4).map(|_| Val::U8(numbers.number() as u8)).collect();
        assert_eq!(bytes, Val::List(expected));
        assert_eq!(secure, numbers.number());
        assert_eq!(insecure, Randomness::new(42, 2).number());
        assert_eq!((seed, begin, next, wall), (42, 0, 1000, now));
    }

    #[test]
    fn what_a_guest_can_make_grow_is_bounded() {
        let mut wasi = Wasi::recorded(Duration::ZERO, 1);
        assert!(wasi.bytes(RANDOM_BYTES + 1, true).is_err());
        wasi.write(STDOUT, std::iter::repeat_n(b'o', 10));
        assert!(wasi.stderr().is_empty());
        for _ in 0..3 {
            wasi.write(STDERR, std::iter::repeat_n(b'e', STDERR_BYTES / 2 + 1));
        }
        assert_eq!(wasi.stderr().len(), STDERR_BYTES);
        let held: Vec<_> = (0..POLLABLES).map(|_| wasi.pollable(Duration::MAX).expect("room")).collect();
        assert!(wasi.pollable(Duration::ZERO).is_err());
        drop(held);
    }
}
