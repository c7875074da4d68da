from pombo_plugin import Automation, Message, Turn, export


@export
class Echo(Automation):
    """Answers each message with its text and counts them, as plugins/echo does in Rust."""

    name = "echo-python"
    version = "0.1.0"
    initial_state = {"count": 0}

    def on_message(self, turn: Turn, message: Message) -> None:
        turn.state["count"] += 1
        # An empty text cannot be sent.
        if message.text:
            turn.reply(message.text)
