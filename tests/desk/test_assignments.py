"""Leases and drafts: handed out, never raced for, never lost."""

from __future__ import annotations

import itertools
import threading

import pytest
import sqlalchemy as sa

from corpus import assignments, drafts, tables, transcripts, work
from corpus.assignments import LEASE_MS
from corpus.database import begin, reading

NOW = 1_800_000_000_000
MINUTE = 60_000
_ids = itertools.count(1)

GOOD = "我明天要去市場買菜。"
OTHER = "他後天會到山上採茶。"


def lease(world, person, now=NOW, role="transcriber"):
    with begin(world.engine) as db:
        return assignments.lease_next(
            db,
            assignment_id=f"a{next(_ids)}",
            person_id=person,
            project_id=world.project_id,
            role=role,
            now_ms=now,
        )


def save(world, held, text, version, now=NOW):
    with begin(world.engine) as db:
        return drafts.save(db, held.id, person_id=held.person_id, text=text, version=version, now_ms=now)


def submit(world, held, text, now=NOW, **more):
    with begin(world.engine) as db:
        stored = assignments.get(db, held.id, person_id=held.person_id, now_ms=now)
    saved = save(world, held, text, stored.version, now)
    with begin(world.engine) as db:
        return drafts.submit(db, held.id, person_id=held.person_id, version=saved.version, now_ms=now, **more)


def revisions(world, held):
    r = tables.revision
    query = sa.select(r.c.version, r.c.text).where(r.c.assignment_id == held.id).order_by(r.c.version)
    with reading(world.engine) as db:
        return [(row.version, row.text) for row in db.execute(query)]


def test_the_oldest_clip_comes_first_and_asking_again_gives_the_same(world):
    ann = world.person("ann")
    oldest = world.clip()
    world.clip()
    first = lease(world, ann)
    assert first.clip_id == oldest
    assert lease(world, ann).id == first.id


def test_nobody_is_given_their_own_voice(world):
    ann = world.person("ann")
    world.clip(speaker=ann)
    assert lease(world, ann) is None


def test_a_leased_clip_is_nobody_elses(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    assert lease(world, ann) is not None
    assert lease(world, ben) is None


def test_many_hands_at_once_never_hold_the_same_clip(world):
    names = [world.person(f"p{n}") for n in range(8)]
    clips = {world.clip() for _ in range(5)}
    held, start = [], threading.Barrier(len(names))

    def take(name):
        start.wait()
        held.append(lease(world, name))

    threads = [threading.Thread(target=take, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = [lease.clip_id for lease in held if lease is not None]
    assert sorted(given) == sorted(clips)


def test_the_database_itself_refuses_a_second_lease_of_a_clip(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    held = lease(world, ann)
    with pytest.raises(sa.exc.IntegrityError), begin(world.engine) as db:
        db.execute(sa.insert(tables.assignment).values({**held.__dict__, "id": "other", "person_id": ben}))


def test_a_clip_given_back_goes_to_others_and_not_back(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    held = lease(world, ann)
    for _ in range(2):
        with begin(world.engine) as db:
            assignments.release(db, held.id, person_id=ann, now_ms=NOW)
    assert lease(world, ann) is None
    assert lease(world, ben).clip_id == held.clip_id


def test_a_save_extends_the_lease(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    held = lease(world, ann)
    later = NOW + LEASE_MS - MINUTE
    save(world, held, "我", 0, now=later)
    assert lease(world, ben, now=NOW + LEASE_MS + MINUTE) is None
    assert lease(world, ben, now=later + LEASE_MS) is not None


def test_a_lapsed_draft_comes_back_to_its_writer_while_nobody_took_the_clip(world):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    save(world, held, "我明天", 0)
    again = lease(world, ann, now=NOW + 2 * LEASE_MS)
    assert (again.id, again.draft, again.version) == (held.id, "我明天", 1)


def test_a_lapsed_draft_is_kept_and_still_saved_after_another_took_the_clip(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    held = lease(world, ann)
    save(world, held, "我明天", 0)
    late = NOW + LEASE_MS + MINUTE
    assert lease(world, ben, now=late).clip_id == held.clip_id
    saved = save(world, held, "我明天要", 1, now=late)
    assert (saved.state, saved.draft, saved.version) == ("expired", "我明天要", 2)
    with pytest.raises(drafts.AssignmentTaken), begin(world.engine) as db:
        drafts.submit(db, held.id, person_id=ann, version=2, now_ms=late)
    assert revisions(world, held) == [(1, "我明天"), (2, "我明天要")]


def test_a_lapsed_lease_revives_with_the_next_save(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    held = lease(world, ann)
    late = NOW + LEASE_MS + MINUTE
    assert save(world, held, "我", 0, now=late).state == "leased"
    assert lease(world, ben, now=late) is None


def test_every_save_is_a_revision_and_the_same_save_twice_is_one(world):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    assert save(world, held, "一", 0).version == 1
    assert save(world, held, "一", 0).version == 1  # the answer was lost, the client asks again
    assert save(world, held, "一二", 1).version == 2
    assert revisions(world, held) == [(1, "一"), (2, "一二")]


def test_a_save_from_an_old_version_gets_the_stored_text_and_changes_nothing(world):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    save(world, held, "這邊", 0)
    with pytest.raises(drafts.DraftConflict) as caught:
        save(world, held, "那邊", 0)
    assert caught.value.parameters == {"version": 1, "text": "這邊"}
    assert revisions(world, held) == [(1, "這邊")]


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x" * 20_001])
def test_what_a_database_cannot_hold_is_refused(world, text):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    with pytest.raises(drafts.DraftInvalid):
        save(world, held, text, 0)


def test_honest_text_is_kept_to_the_byte(world):
    text = "𪜶 <b>&amp;\u2028\u202e\t\n é e\u0301 '\"; --"
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    save(world, held, text, 0)
    with reading(world.engine) as db:
        assert assignments.get(db, held.id, person_id=ann, now_ms=NOW).draft == text


def test_another_persons_assignment_looks_like_none(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    held = lease(world, ann)
    with begin(world.engine) as db:
        for who, which in ((ben, held.id), (ben, "nothing")):
            with pytest.raises(assignments.AssignmentUnknown):
                assignments.get(db, which, person_id=who, now_ms=NOW)


def test_safe_fixes_are_applied_and_kept_beside_what_was_typed(world):
    ann = world.person("ann")
    world.clip()
    done = submit(world, lease(world, ann), "我明天要去市場買菜.").transcript
    assert (done.text_raw, done.text, done.applied) == ("我明天要去市場買菜.", GOOD, ["P001"])
    assert done.rules_version


def test_errors_refuse_a_text_and_keep_it(world):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    with pytest.raises(drafts.TranscriptRefused) as caught:
        submit(world, held, "我住3樓。")
    assert "N001" in [finding["code"] for finding in caught.value.parameters["findings"]]
    with reading(world.engine) as db:
        stored = assignments.get(db, held.id, person_id=ann, now_ms=NOW)
    assert (stored.state, stored.draft) == ("leased", "我住3樓。")


def test_too_many_syllables_for_the_speech_are_refused(world):
    ann = world.person("ann")
    world.clip(speech_s=0.5)
    with pytest.raises(drafts.TranscriptRefused) as caught:
        submit(world, lease(world, ann), GOOD)
    assert "L001" in [finding["code"] for finding in caught.value.parameters["findings"]]


def test_handing_in_twice_is_handing_in_once(world):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    first = submit(world, held, GOOD)
    again = submit(world, held, GOOD, now=NOW + MINUTE)
    assert again.transcript == first.transcript
    assert again.is_repeat
    with reading(world.engine) as db:
        assert len(transcripts.of_clip(db, held.clip_id)) == 1


def test_after_handing_in_the_text_cannot_change(world):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    submit(world, held, GOOD)
    with pytest.raises(assignments.AssignmentClosed):
        save(world, held, OTHER, 1)


def test_the_second_writer_is_another_and_sees_nothing_of_the_first(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    submit(world, lease(world, ann), GOOD)
    assert lease(world, ann) is None
    second = lease(world, ben)
    assert (second.stage, second.draft) == ("second", "")


def test_two_equal_texts_are_final_without_a_reviewer(world):
    ann, ben, cho = world.person("ann"), world.person("ben"), world.person("cho", "reviewer")
    clip_id = world.clip()
    submit(world, lease(world, ann), GOOD)
    submit(world, lease(world, ben), GOOD)
    with reading(world.engine) as db:
        final = transcripts.final(db, clip_id)
    assert (final.transcript.text, final.agreement_cer, final.transcribers) == (GOOD, 0.0, 2)
    assert lease(world, cho, role="reviewer") is None


def test_two_different_texts_go_to_a_reviewer_who_decides(world):
    ann, ben, cho = world.person("ann"), world.person("ben"), world.person("cho", "reviewer")
    clip_id = world.clip()
    submit(world, lease(world, ann), GOOD)
    submit(world, lease(world, ben), OTHER)
    with reading(world.engine) as db:
        assert transcripts.final(db, clip_id) is None
        assert transcripts.review_reasons(db, clip_id, style="monologue").reasons == ("differ",)
    review = lease(world, cho, role="reviewer")
    assert review.stage == "review"
    submit(world, review, OTHER)
    with reading(world.engine) as db:
        final = transcripts.final(db, clip_id)
        history = work.history(db, person_id=ann, limit=5, now_ms=NOW)
    assert (final.transcript.stage, final.transcript.text, final.transcribers) == ("review", OTHER, 2)
    assert final.agreement_cer > 0.5
    assert [(piece.outcome, piece.text, piece.final_text) for piece in history] == [("reviewed", GOOD, OTHER)]


def test_nobody_reviews_a_text_of_their_own(world):
    ann, ben = world.person("ann"), world.person("ben")
    world.clip()
    submit(world, lease(world, ann), GOOD)
    submit(world, lease(world, ben), OTHER)
    assert lease(world, ann, role="reviewer") is None


def test_agreeing_texts_are_reviewed_when_someone_asks(world):
    ann, ben, cho = world.person("ann"), world.person("ben"), world.person("cho", "reviewer")
    world.clip()
    submit(world, lease(world, ann), GOOD, wants_review=True)
    submit(world, lease(world, ben), GOOD)
    assert lease(world, cho, role="reviewer") is not None


def test_speech_that_nobody_understood_is_kept_apart(world):
    ann, ben = world.person("ann"), world.person("ben")
    clip_id = world.clip()
    submit(world, lease(world, ann), "我□□", status="incomplete")
    submit(world, lease(world, ben), "", status="incomplete")
    with reading(world.engine) as db:
        final = transcripts.final(db, clip_id)
    assert (final.transcript.status, final.agreement_cer) == ("incomplete", None)


def test_a_withdrawn_clip_leaves_no_text_behind(world):
    ann = world.person("ann")
    clip_id = world.clip()
    held = lease(world, ann)
    submit(world, held, GOOD)
    with begin(world.engine) as db:
        db.execute(sa.update(tables.clip).where(tables.clip.c.id == clip_id).values(state="withdrawn"))
        transcripts.erase(db, [clip_id])
    with reading(world.engine) as db:
        assert transcripts.of_clip(db, clip_id) == []
        assert assignments.get(db, held.id, person_id=ann, now_ms=NOW).draft == ""
    assert revisions(world, held) == []


def test_an_event_outside_of_the_clip_is_refused(world):
    ann = world.person("ann")
    world.clip()
    held = lease(world, ann)
    late = {"start_s": 4.0, "end_s": 9.0, "label": "laughter"}
    with pytest.raises(drafts.DraftInvalid):
        submit(world, held, GOOD, events=[late])
    done = submit(world, held, GOOD, events=[{**late, "end_s": 5.0}])
    assert done.transcript.events == [{**late, "end_s": 5.0}]


def test_a_tag_in_the_text_becomes_an_event_within_the_bounds_that_are_known(world):
    ann = world.person("ann")
    world.clip()
    done = submit(world, lease(world, ann), "[laughter] " + GOOD).transcript
    assert done.text == GOOD
    assert done.events == [{"start_s": 0.0, "end_s": 5.0, "label": "laughter"}]
