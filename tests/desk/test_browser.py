"""The desk as people use it: a real browser, a real server, sound that came in by real upload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from transcribe import sentences

pytestmark = pytest.mark.browser

GOOD = "我明天要去市場買菜。"
OTHER = "我明天要到山上採茶。"


def type_text(page, text):
    page.locator("#text").fill(text)


def saved(page):
    expect(page.locator("#saved")).to_have_text(re.compile("Saved|已儲存|已保存"))


def take(page, home="desk"):
    page.goto(f"/{home}")
    page.locator("main form button.primary").click()
    expect(page.locator("#text")).to_be_focused()


def hand_in(page):
    page.keyboard.press("Control+Enter")
    expect(page.locator("#handed-in")).to_be_visible()


def test_a_clip_is_heard_typed_mended_and_handed_in(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    page.locator("[data-part=play]").click()
    page.wait_for_timeout(700)
    assert page.evaluate("document.querySelector('audio').currentTime") > 0.2
    type_text(page, "我明天要去市場買菜,好嗎")
    findings = page.locator("#findings li")
    expect(findings).to_have_count(2)
    findings.nth(0).get_by_role("button", name=re.compile("，")).click()
    expect(page.locator("#text")).to_have_value("我明天要去市場買菜，好嗎")
    expect(findings).to_have_count(1)
    findings.get_by_role("button", name="？").click()
    expect(page.locator("#text")).to_have_value("我明天要去市場買菜，好嗎？")
    expect(findings).to_have_count(0)
    page.locator("#submit").click()
    expect(page.locator("#stored-text")).to_have_text("我明天要去市場買菜，好嗎？")


def test_safe_fixes_are_applied_and_named_when_handing_in(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    type_text(page, "我明天要去市場買菜.")
    saved(page)
    hand_in(page)
    expect(page.locator("#stored-text")).to_have_text(GOOD)
    expect(page.locator("#mended-list")).to_contain_text("P001")


def test_an_error_stops_the_text_and_leads_to_its_place(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    type_text(page, "我住3樓。")
    saved(page)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#findings li.here")).to_contain_text("N001")
    place = page.evaluate("[document.activeElement.selectionStart, document.activeElement.selectionEnd]")
    assert place == [2, 3]


def test_two_people_and_a_reviewer_decide_a_text(desk):
    clip_id = desk.upload()
    first, second = desk.open("transcriber"), desk.open("transcriber")
    take(first)
    type_text(first, GOOD)
    saved(first)
    hand_in(first)
    take(second)
    assert second.locator("#text").input_value() == ""
    assert GOOD not in second.content()
    type_text(second, OTHER)
    saved(second)
    hand_in(second)
    reviewer = desk.open("reviewer")
    take(reviewer, "review")
    expect(reviewer.locator(".pair ins").first).to_be_visible()
    reviewer.locator("[data-use='1']").click()
    expect(reviewer.locator("#text")).to_have_value(OTHER)
    saved(reviewer)
    hand_in(reviewer)
    assert desk.final_text(clip_id) == OTHER
    first.goto("/me")
    expect(first.locator("main")).to_contain_text(OTHER)


def test_a_reviewer_refuses_the_sound_and_the_speaker_sees_why(desk):
    clip_id = desk.upload()
    for text in (GOOD, OTHER):
        page = desk.open("transcriber")
        take(page)
        type_text(page, text)
        saved(page)
        hand_in(page)
    reviewer = desk.open("reviewer")
    take(reviewer, "review")
    wave = reviewer.locator("[data-part=wave]")
    box = wave.bounding_box()
    reviewer.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20)
    reviewer.mouse.down()
    reviewer.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20, steps=5)
    reviewer.mouse.up()
    reviewer.locator("#refuse summary").click()
    assert float(reviewer.locator("#refuse-start").input_value()) > 0
    reviewer.locator("input[value='content.other_voice']").check()
    reviewer.locator("#refuse button.danger").click()
    reviewer.wait_for_url("**/review")
    speaker = desk.speaker()
    speaker.goto("/me?lang=en")
    expect(speaker.locator("main")).to_contain_text("Another person can be understood")
    expect(speaker.locator("main")).to_contain_text("content.other_voice")
    assert desk.clip_state(clip_id) == "refused"
    speaker.locator("summary", has_text="Appeal").click()
    speaker.locator("textarea[name=reason]").fill("That is me.")
    speaker.get_by_role("button", name="Send the appeal").click()
    expect(speaker.locator("main")).to_contain_text("Your appeal was sent")
    reviewer.goto("/review")
    expect(reviewer.locator("main")).not_to_contain_text("That is me.")  # it was their own decision
    other = desk.open("reviewer")
    other.goto("/review")
    expect(other.locator("main")).to_contain_text("That is me.")
    other.locator("button[value=accept]").click()
    other.wait_for_url("**/review")
    assert desk.clip_state(clip_id) == "accepted"
    speaker.goto("/me?lang=en")
    expect(speaker.locator("main")).to_contain_text("This decision is final.")
    speaker.locator("summary", has_text="What happened").click()
    expect(speaker.locator("ol li")).to_have_count(4)  # measured, refused, appealed, decided
    expect(speaker.locator("summary", has_text="Appeal")).to_have_count(0)


def test_a_sound_is_refused_from_the_keyboard_alone_and_its_place_played(desk):
    clip_id = desk.upload()
    for text in (GOOD, OTHER):
        page = desk.open("transcriber")
        take(page)
        type_text(page, text)
        saved(page)
        hand_in(page)
    reviewer = desk.open("reviewer")
    take(reviewer, "review")
    reviewer.locator("[data-part=wave]").focus()
    for key in ("ArrowRight", "[", "ArrowRight", "]"):  # from 1 s to 2 s
        reviewer.keyboard.press(key)
        reviewer.wait_for_timeout(150)
    reviewer.locator("#refuse summary").focus()
    reviewer.keyboard.press("Enter")
    expect(reviewer.locator("#refuse-start")).to_have_value("1.00")
    expect(reviewer.locator("#refuse-end")).to_have_value("2.00")
    reviewer.keyboard.press("Tab")
    reviewer.keyboard.press("Space")  # the first reason
    for _ in range(5):  # from, to, the whole recording, note, the button
        reviewer.keyboard.press("Tab")
    reviewer.keyboard.press("Enter")
    reviewer.wait_for_url("**/review")
    assert desk.clip_state(clip_id) == "refused"
    speaker = desk.speaker()
    speaker.goto("/me?lang=zh-Hant")
    expect(speaker.locator("main")).to_contain_text("可申訴到")
    speaker.locator("[data-play]").first.click()
    sound = "(({currentTime, paused}) => [currentTime, paused])(document.querySelector('audio'))"
    for _ in range(100):  # it begins at 1 s and stops by itself at 2 s
        now, is_paused = speaker.evaluate(sound)
        if is_paused and now >= 2:
            break
        speaker.wait_for_timeout(100)
    assert is_paused and 2 <= now < 3


def test_a_refusal_without_a_place_cannot_be_sent(desk):
    clip_id = desk.upload()
    for text in (GOOD, OTHER):
        page = desk.open("transcriber")
        take(page)
        type_text(page, text)
        saved(page)
        hand_in(page)
    reviewer = desk.open("reviewer")
    take(reviewer, "review")
    reviewer.locator("#refuse summary").click()
    reviewer.locator("input[value='content.unclear']").check()
    reviewer.locator("#refuse button.danger").click()
    assert desk.clip_state(clip_id) == "accepted"
    reviewer.locator("#refuse-whole").click()
    reviewer.locator("#refuse button.danger").click()
    reviewer.wait_for_url("**/review")
    assert desk.clip_state(clip_id) == "refused"


def test_everything_can_be_done_from_the_keyboard(desk):
    desk.upload()
    page = desk.open("transcriber")
    page.goto("/desk")
    expect(page.locator("main form button")).to_be_focused()  # the one thing to do
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Alt+k")
    page.wait_for_timeout(500)
    assert page.evaluate("!document.querySelector('audio').paused")
    page.keyboard.press("Alt+k")
    assert page.evaluate("document.querySelector('audio').paused")
    page.keyboard.press("Alt+j")
    page.keyboard.press("Alt+,")
    assert page.evaluate("document.querySelector('audio').playbackRate") == pytest.approx(0.9)
    page.keyboard.press("Alt+.")
    page.keyboard.press("Alt+l")
    expect(page.locator("[data-part=loop]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.insert_text("我明天要去市場買菜,好")
    expect(page.locator("#findings li")).to_have_count(2)
    page.keyboard.press("Alt+n")
    page.keyboard.press("Alt+a")
    expect(page.locator("#text")).to_have_value("我明天要去市場買菜，好")
    expect(page.locator("#findings li")).to_have_count(1)
    page.keyboard.press("Alt+n")
    page.keyboard.press("Alt+1")
    expect(page.locator("#text")).to_have_value("我明天要去市場買菜，好。")
    saved(page)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#next")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/desk")


def test_tab_reaches_every_control(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    page.locator("main").focus()
    seen = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.dataset.part || ''"))
    parts = {"wave", "play", "back", "loop", "slower", "faster"}
    assert parts | {"text", "incomplete", "wants-review", "submit", "give-back"} <= seen


def test_findings_wait_until_the_input_method_is_done(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    cdp = page.context.new_cdp_session(page)
    sent = []
    page.on("request", lambda request: sent.append(request.method) if request.method == "PUT" else None)
    for text in ("ㄨ", "ㄨㄛ", "ㄨㄛˇ"):
        cdp.send(
            "Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
        )
    page.wait_for_timeout(1500)
    assert sent == []
    assert page.locator("#findings li").count() == 0
    cdp.send("Input.insertText", {"text": "我"})
    expect(page.locator("#findings li", has_text="P009")).to_be_visible()  # no end mark
    assert page.locator("#text").input_value() == "我"


def test_a_text_written_without_network_is_sent_when_it_is_back(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    page.context.set_offline(True)
    type_text(page, GOOD)
    expect(page.locator("#saved.offline, #saved .offline")).to_be_visible()
    assert desk.drafts() == [""]
    page.context.set_offline(False)
    saved(page)
    assert desk.drafts() == [GOOD]


def test_an_unsent_text_outlives_a_reload(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    page.route(
        "**/api/v1/assignments/**",
        lambda route: route.abort() if route.request.method == "PUT" else route.continue_(),
    )
    type_text(page, GOOD)
    expect(page.locator(".offline")).to_be_visible()
    page.on("dialog", lambda dialog: dialog.accept())
    page.unroute("**/api/v1/assignments/**")
    page.reload()
    expect(page.locator("#text")).to_have_value(GOOD)
    saved(page)
    assert desk.drafts() == [GOOD]


def test_going_away_and_back_loses_nothing(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    type_text(page, GOOD)
    saved(page)
    page.goto("/me")
    page.go_back()
    expect(page.locator("#text")).to_have_value(GOOD)


def test_two_windows_get_both_texts_to_choose_from(desk):
    desk.upload()
    one = desk.open("transcriber")
    take(one)
    two = one.context.new_page()
    two.goto(one.url)
    expect(two.locator("#text")).to_be_focused()
    type_text(one, GOOD)
    saved(one)
    type_text(two, OTHER)
    expect(two.locator("#conflict")).to_be_visible()
    expect(two.locator("#conflict-mine")).to_have_text(OTHER)
    expect(two.locator("#conflict-stored")).to_have_text(GOOD)
    two.locator("#keep-mine").click()
    saved(two)
    assert desk.drafts() == [OTHER]
    type_text(one, GOOD + "好。")
    expect(one.locator("#conflict")).to_be_visible()
    one.locator("#keep-stored").click()
    expect(one.locator("#text")).to_have_value(OTHER)


def test_a_session_that_ends_while_typing_loses_nothing(desk):
    desk.upload()
    page = desk.open("transcriber")
    take(page)
    cookies = page.context.cookies()
    page.context.clear_cookies()
    type_text(page, GOOD)
    expect(page.locator("#banner")).to_be_visible()
    page.context.add_cookies(cookies)
    saved(page)
    expect(page.locator("#banner")).to_be_hidden()
    assert desk.drafts() == [GOOD]


def test_a_prompt_is_offered_as_a_start(desk):
    desk.upload(prompt="今天天氣很好。")
    page = desk.open("transcriber")
    take(page)
    assert page.locator("#text").input_value() == ""
    page.locator("#use-prompt").click()
    expect(page.locator("#text")).to_have_value("今天天氣很好。")


def test_hostile_text_is_shown_as_text(desk):
    desk.upload()
    page = desk.open("transcriber")
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    take(page)
    hostile = "<img src=x onerror=alert(1)></script><script>alert(2)</script>{{7*7}}"
    type_text(page, hostile)
    saved(page)
    page.reload()
    expect(page.locator("#text")).to_have_value(hostile)
    page.goto("/desk")
    expect(page.locator("main")).to_contain_text(hostile)
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize(("tag", "word"), [("zh-Hant", "交出"), ("zh-Hans", "提交"), ("en", "Hand in")])
def test_the_desk_speaks_three_languages(desk, tag, word):
    desk.upload()
    page = desk.open("transcriber")
    page.goto(f"/?lang={tag}")
    take(page)
    assert page.locator("html").get_attribute("lang") == tag
    expect(page.locator("#submit")).to_contain_text(word)
    type_text(page, "好,好。")
    expect(page.locator("#findings li p").first).to_have_text(sentences.message("P001", tag, ","))


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(desk, width):
    desk.upload(prompt="今天天氣很好，我們一起出去走走吧。" * 3)
    pages = {
        "transcriber": ["/", "/desk", "/me"],
        "reviewer": ["/review", "/me"],
        "operator": ["/operator"],
    }
    for role, paths in pages.items():
        page = desk.open(role)
        page.set_viewport_size({"width": width, "height": 800})
        for path in paths:
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        if role == "transcriber":
            take(page)
            type_text(page, "一" * 200 + "3, hello")
            saved(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_page_breaks_its_own_content_policy(desk):
    desk.upload()
    for role, paths in {"transcriber": ["/", "/desk", "/me"], "operator": ["/operator"]}.items():
        page = desk.open(role)
        said = []
        page.on("console", lambda message, said=said: said.append(message.text))
        for path in paths:
            page.goto(path)
        if role == "transcriber":
            take(page)
            type_text(page, "好,3")
            saved(page)
        assert [text for text in said if "Content Security Policy" in text] == []
