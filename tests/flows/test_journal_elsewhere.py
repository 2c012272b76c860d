from commands import Home, told
from postgres import PASSWORD, Server

from evergreen import journal as tables
from evergreen.journal import Journal


def test_commands_keep_their_history_on_postgresql(home: Home, server: Server):
    url = server.url(server.new_database())
    home.deliver()
    first, again = (home.evergreen("ingest", EVERGREEN_JOURNAL_URL=url) for _ in range(2))
    assert (first.code, again.code) == (0, 0), (first, again)
    assert ["9 deliveries published" in ended.out for ended in (first, again)] == [True, False]
    assert "nothing yet" not in home.evergreen("status", EVERGREEN_JOURNAL_URL=url).out
    journal = Journal(url)
    assert [row["outcome"] for row in journal.rows(tables.deliveries)] == ["published"] * 9
    journal.close()
    assert not (home.var / "journal.db").exists()


def test_a_journal_whose_server_does_not_answer_is_told(home: Home):
    ended = home.evergreen("status", EVERGREEN_JOURNAL_URL=f"postgresql://ann:{PASSWORD.replace('@', '%40')}@127.0.0.1:9/evergreen")
    told(ended, "The journal postgresql+psycopg://127.0.0.1:9/evergreen cannot be used", "Connection refused")
    assert "open:" not in ended.err
