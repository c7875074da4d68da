from automation import Greeter
from pombo_plugin.testing import Script


def test_it_asks_for_the_name_and_remembers_it() -> None:
    chat = Script(Greeter, config={"shop": "Padaria Aurora"})
    chat.says("oi")
    assert chat.texts == ["Hello, this is Padaria Aurora. What is your name?"]
    chat.says("Ana")
    chat.says("good morning")
    assert chat.texts[1:] == ["Nice to meet you, Ana!", "Good to hear from you, Ana!"]


def test_it_reminds_after_a_day() -> None:
    chat = Script(Greeter)
    chat.says("oi")
    chat.advance(hours=23)
    assert len(chat.texts) == 1
    chat.advance(hours=1)
    assert chat.texts[1] == "Are you still there? Tell me your name, and we can go on."


def test_it_does_not_remind_somebody_who_answered() -> None:
    chat = Script(Greeter)
    chat.says("oi")
    chat.says("Ana")
    chat.advance(days=2)
    assert len(chat.texts) == 2
