from datetime import timedelta

from pombo_plugin import Automation, Message, Timer, Turn, export


@export
class Greeter(Automation):
    name = "{{name}}"
    version = "0.1.0"
    config_schema = {
        "type": "object",
        "properties": {"shop": {"type": "string", "title": "Name of the shop"}},
        "additionalProperties": False,
    }
    #: The state of a new conversation.
    initial_state = {"name": None, "asked": False}

    def on_message(self, turn: Turn, message: Message) -> None:
        state, answer = turn.state, message.text.strip()
        if state["name"] is not None:
            turn.reply(f"Good to hear from you, {state['name']}!")
        elif state["asked"] and answer:
            state["name"] = answer
            turn.cancel_timer("reminder")
            turn.reply(f"Nice to meet you, {answer}!")
        else:
            state["asked"] = True
            turn.set_timer("reminder", timedelta(days=1))
            turn.reply(f"Hello, this is {turn.config.get('shop', 'our shop')}. What is your name?")

    def on_timer(self, turn: Turn, timer: Timer) -> None:
        if timer.name == "reminder" and turn.state["name"] is None:
            turn.reply("Are you still there? Tell me your name, and we can go on.")
