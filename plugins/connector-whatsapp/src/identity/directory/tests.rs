use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;

/// A server with some registered numbers, a clock that only sleeping moves, and a gate that holds answers back.
#[derive(Default)]
struct World {
    registered: Vec<Known>,
    learned: HashMap<String, Known>,
    kept: RefCell<HashMap<String, Record>>,
    asked: RefCell<Vec<Vec<String>>>,
    now: Cell<u64>,
    held: Cell<bool>,
    refuses: RefCell<Option<Error>>,
}

impl Port for World {
    fn now_millis(&self) -> u64 {
        self.now.get()
    }
    async fn sleep(&self, millis: u64) {
        self.now.set(self.now.get() + millis);
    }
    async fn ask(&self, numbers: &[String]) -> Result<Vec<Known>, Error> {
        self.asked.borrow_mut().push(numbers.to_vec());
        std::future::poll_fn(|_| if self.held.get() { Poll::Pending } else { Poll::Ready(()) }).await;
        if let Some(error) = self.refuses.borrow().clone() {
            return Err(error);
        }
        // As the real one: either form of a Brazilian number is answered with the registered one.
        Ok(self
            .registered
            .iter()
            .filter(|known| {
                numbers.iter().any(|n| *n == known.number || brazil::other_form(n).as_ref() == Some(&known.number))
            })
            .cloned()
            .collect())
    }
    async fn learned(&self, number: &str) -> Option<Known> {
        self.learned.get(number).cloned()
    }
    async fn recall(&self, number: &str) -> Result<Option<Record>, Error> {
        Ok(self.kept.borrow().get(number).cloned())
    }
    async fn keep(&self, number: &str, record: &Record) -> Result<(), Error> {
        self.kept.borrow_mut().insert(number.to_owned(), record.clone());
        Ok(())
    }
}

fn known(number: &str) -> Known {
    Known { number: number.to_owned(), lid: Some(format!("9{number}")) }
}

fn poll<F: Future + ?Sized>(f: Pin<&mut F>) -> Poll<F::Output> {
    f.poll(&mut Context::from_waker(Waker::noop()))
}

fn now<F: Future>(f: F) -> F::Output {
    match poll(pin!(f)) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

#[test]
fn either_form_of_a_brazilian_number_finds_the_registered_one() {
    let world = World { registered: vec![known("551187654321")], ..World::default() };
    let directory = Directory::new(Rate::default());
    assert_eq!(now(directory.find(&world, "5511987654321")), Ok(Some(known("551187654321"))));
    assert_eq!(*world.asked.borrow(), [["5511987654321", "551187654321"]]);
    assert_eq!(now(directory.find(&world, "551187654321")), Ok(Some(known("551187654321"))));
}

#[test]
fn an_answer_is_remembered_longer_when_it_is_yes() {
    let world = World { registered: vec![known("12025550100")], ..World::default() };
    let directory = Directory::new(Rate::default());
    assert_eq!(now(directory.find(&world, "12025550100")), Ok(Some(known("12025550100"))));
    assert_eq!(now(directory.find(&world, "12025550199")), Ok(None));
    assert_eq!(world.asked.borrow().len(), 2);
    world.now.set(NEGATIVE_MILLIS);
    assert!(now(directory.find(&world, "12025550100")).is_ok_and(|k| k.is_some()));
    assert_eq!(world.asked.borrow().len(), 2, "yes still holds");
    assert_eq!(now(directory.find(&world, "12025550199")), Ok(None));
    assert_eq!(world.asked.borrow().len(), 3, "no is asked again");
    world.now.set(POSITIVE_MILLIS);
    assert!(now(directory.find(&world, "12025550100")).is_ok());
    assert_eq!(world.asked.borrow().len(), 4, "yes is asked again in the end");
}

#[test]
fn what_the_session_learned_is_not_asked() {
    let mut world = World::default();
    world.learned.insert("551187654321".to_owned(), known("551187654321"));
    let directory = Directory::new(Rate::default());
    assert_eq!(now(directory.find(&world, "5511987654321")), Ok(Some(known("551187654321"))));
    assert!(world.asked.borrow().is_empty());
}

#[test]
fn those_who_come_while_a_question_is_out_share_the_next_one() {
    let world = World { registered: vec![known("12025550101"), known("12025550102")], ..World::default() };
    world.held.set(true);
    let directory = Directory::new(Rate::default());
    let mut first = pin!(directory.find(&world, "12025550101"));
    assert!(poll(first.as_mut()).is_pending());
    let mut others: Vec<(&str, Pin<Box<dyn Future<Output = Answer> + '_>>)> = vec![
        ("same", Box::pin(directory.find(&world, "12025550102"))),
        ("again", Box::pin(directory.find(&world, "12025550102"))),
        ("other", Box::pin(directory.find(&world, "12025550103"))),
    ];
    assert!(others.iter_mut().all(|(_, f)| poll(f.as_mut()).is_pending()));
    world.held.set(false);
    assert_eq!(poll(first.as_mut()), Poll::Ready(Ok(Some(known("12025550101")))));
    let mut done = Vec::new();
    for _ in 0..3 {
        others.retain_mut(|(name, f)| match poll(f.as_mut()) {
            Poll::Ready(answer) => {
                done.push((*name, answer));
                false
            }
            Poll::Pending => true,
        });
    }
    done.sort_by_key(|(name, _)| *name);
    assert_eq!(
        done,
        [("again", Ok(Some(known("12025550102")))), ("other", Ok(None)), ("same", Ok(Some(known("12025550102"))))]
    );
    assert_eq!(
        *world.asked.borrow(),
        [vec!["12025550101".to_owned()], vec!["12025550102".to_owned(), "12025550103".to_owned()]]
    );
    assert!(!directory.state.borrow().asking);
}

#[test]
fn questions_are_paced() {
    let world = World::default();
    let directory = Directory::new(Rate { burst: 2, per_minute: 60 });
    for n in 0..5 {
        assert_eq!(now(directory.find(&world, &format!("120255501{n:02}"))), Ok(None));
    }
    assert_eq!(world.now.get(), 3_000, "two at once, then one a second");
}

#[test]
fn a_refusal_for_too_many_keeps_everyone_quiet_for_its_time() {
    let world = World::default();
    *world.refuses.borrow_mut() = Some(Error::Throttled { retry_after_millis: cool_down_millis(Some(5)) });
    let directory = Directory::new(Rate::default());
    assert_eq!(now(directory.find(&world, "12025550101")), Err(Error::Throttled { retry_after_millis: 5_000 }));
    *world.refuses.borrow_mut() = None;
    world.now.set(1_000);
    assert_eq!(now(directory.find(&world, "12025550102")), Err(Error::Throttled { retry_after_millis: 4_000 }));
    assert_eq!(world.asked.borrow().len(), 1);
    world.now.set(5_000);
    assert_eq!(now(directory.find(&world, "12025550102")), Ok(None));
    assert!(world.kept.borrow().contains_key("12025550102"));
    assert!(!world.kept.borrow().contains_key("12025550101"), "a refusal is not an answer");
}
