"""The few words that stand in tables and pictures of measured sound, in three languages.

Sentences are in the catalogue under their codes; these are labels, which have none.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocol.errors import Language

_ROWS = """
file           | file                | 檔案         | 文件
length         | length              | 長度         | 时长
peak           | peak                | 峰值         | 峰值
speech         | speech              | 語音         | 语音
noise          | noise               | 噪音         | 噪声
interval       | 80 % interval       | 80% 區間     | 80% 区间
grade          | grade               | 等級         | 等级
verdict        | verdict             | 判定         | 判定
quiet          | quiet               | 安靜         | 安静
moderate       | moderate            | 普通         | 普通
noisy          | noisy               | 吵雜         | 嘈杂
none           | no grade            | 無等級       | 无等级
accept         | accept              | 通過         | 通过
refuse         | refuse              | 退回         | 退回
error          | error               | 錯誤         | 错误
warning        | warning             | 提醒         | 提醒
unmeasured     | not measured        | 未能量測     | 未能测量
files          | {n} files, {h} h    | 共 {n} 個檔案，{h} 小時 | 共 {n} 个文件，{h} 小时
n_accept       | {n} accepted        | 通過 {n}     | 通过 {n}
n_refuse       | {n} refused         | 退回 {n}     | 退回 {n}
n_unmeasured   | {n} not measured    | 未能量測 {n} | 未能测量 {n}
of_refuse      | {n} refused         | 其中退回 {n} | 其中退回 {n}
grades         | grades              | 等級         | 等级
findings       | findings            | 問題         | 问题
errors         | errors              | 錯誤         | 错误
stopped        | Stopped: {n} of {all} files measured. | 已停止：量測了 {n} 個檔案（共 {all} 個）。 | 已停止：测量了 {n} 个文件（共 {all} 个）。
pictures       | Pictures are in {where}. | 圖片存於 {where}。 | 图片存放在 {where}。
speech_level   | Speech level        | 語音音量     | 语音音量
noise_level    | Noise level         | 噪音音量     | 噪声音量
lead_in        | lead-in             | 開頭靜候     | 开头静候
channel        | 1 channel           | 單聲道       | 单声道
channels       | {n} channels        | {n} 聲道     | {n} 声道
in_channel     | channel {n}         | 第 {n} 聲道  | 第 {n} 声道
shown          | {n} of {all} channels drawn | 繪出 {all} 聲道中的 {n} 個 | 绘出 {all} 声道中的 {n} 个
worst          | figures are those of the channel with the lowest SNR | 數值取訊噪比最低的聲道 | 数值取信噪比最低的声道
waveform       | Waveform            | 波形         | 波形
level          | Level, 50 Hz to 8 kHz | 音量（50 Hz 至 8 kHz） | 音量（50 Hz 至 8 kHz）
spectrogram    | Spectrogram         | 頻譜圖       | 频谱图
active         | speech              | 語音段落     | 语音段落
no_findings    | Nothing to mend.    | 沒有需要改善的地方。 | 没有需要改进的地方。
no_speech      | no speech           | 沒有語音     | 没有语音
snr            | SNR                 | 訊噪比       | 信噪比
from_lead_in+pauses | noise heard in the lead-in and the pauses | 噪音取自開頭靜候與停頓 | 噪声取自开头静候与停顿
from_lead_in   | noise heard in the lead-in | 噪音取自開頭靜候 | 噪声取自开头静候
from_pauses    | noise heard in the pauses | 噪音取自停頓 | 噪声取自停顿
from_room_tone | noise from the session's room tone | 噪音取自該場次的環境音 | 噪声取自该场次的环境音
from_room_tone+pauses | noise from the session's room tone and the pauses | 噪音取自該場次的環境音與停頓 | 噪声取自该场次的环境音与停顿
from_between_words | noise guessed from the gaps between words | 噪音由字句間的空隙推估 | 噪声由字句间的空隙推估
profile        | profile             | 設定檔       | 配置
judged_for     | judged for {grade}  | 以「{grade}」等級判定 | 按“{grade}”等级判定
why_missing    | there is no such file | 沒有這個檔案 | 没有这个文件
why_denied     | you may not read it | 沒有讀取權限 | 没有读取权限
why_link       | it is a link to something that is not there | 它連到不存在的檔案 | 它链接到不存在的文件
why_not_a_file | it is no ordinary file | 它不是一般檔案 | 它不是普通文件
why_no_folder  | there is no such folder | 沒有這個資料夾 | 没有这个文件夹
why_no_write   | you may not write there | 沒有寫入權限 | 没有写入权限
why_full       | the disk is full    | 磁碟空間已滿 | 磁盘空间已满
why_recording  | it has the name of a recording, which would be lost | 這是錄音檔的名稱，寫下去錄音就沒了 | 这是录音文件的名称，写入会毁掉录音
why_cut        | it breaks off after {there} of {all} {unit} | 內容不完整，{all} {unit}裡只有 {there} | 内容不完整，{all} {unit}中只有 {there}
why_cut_end    | it breaks off before its end | 內容不完整，結尾不見了 | 内容不完整，缺少结尾
why_hole       | a piece is missing from its middle | 中間缺了一段 | 中间缺了一段
why_no_length  | it does not say how long it is, and only its beginning can be read | 檔案沒有註明長度，只讀得到開頭一段 | 文件没有注明长度，只能读到开头一段
why_unknown    | it is of no known audio format | 不是認得的音訊格式 | 不是可识别的音频格式
why_crashed    | decoding it ended the process, for want of memory or by damage in the file | 解碼時程式被系統中止，可能是記憶體不足或檔案損壞 | 解码时程序被系统终止，可能是内存不足或文件损坏
line           | line {n}            | 第 {n} 行    | 第 {n} 行
why_no_grade   | need at least one of {known} | 至少要有 {known} 其中一個 | 至少要有 {known} 中的一个
why_not_utf8   | this is not UTF-8 text | 這不是 UTF-8 文字 | 这不是 UTF-8 文本
why_system     | {said}              | {said}       | {said}
why_toml       | {said}              | TOML 語法有誤（{said}） | TOML 语法有误（{said}）
why_nested     | brackets are nested too deeply | 括號的層數太多 | 括号的层数太多
why_id         | a profile's id is the name of its table | 設定檔的 id 就是表格名稱，不必再寫 | 配置的 id 就是表的名称，不必再写
why_name       | need 1 to 64 letters, digits, dots, dashes or underscores, as text in quotation marks | 須為 1 到 64 個英文字母、數字、點、連字號或底線，並加上引號 | 须为 1 到 64 个英文字母、数字、点、连字符或下划线，并加上引号
why_no_profile | there is no profile in it | 裡面沒有任何設定檔 | 里面没有任何配置
why_snr_order  | it reaches above {limit} dB, where the band of {quieter} begins | 範圍超過了 {limit} dB，那裡已是 {quieter} 的範圍 | 范围超过了 {limit} dB，那里已是 {quieter} 的范围
why_dba_order  | it reaches below {limit} dB(A), where the band of {quieter} ends | 範圍低於 {limit} dB(A)，那裡仍是 {quieter} 的範圍 | 范围低于 {limit} dB(A)，那里仍是 {quieter} 的范围
why_near_field | there is no such field (did you mean {near}?) | 沒有這個欄位（是不是 {near}？） | 没有这个字段（是不是 {near}？）
why_no_field   | there is no such field; there are {known} | 沒有這個欄位，可用的有 {known} | 没有这个字段，可用的有 {known}
why_no_value   | this field is missing | 缺少這個欄位 | 缺少这个字段
why_pair       | need two numbers, [low, high] | 須為兩個數字：[下限, 上限] | 须为两个数字：[下限, 上限]
why_order      | the low limit must be below the high one | 下限必須小於上限 | 下限必须小于上限
why_number     | need a number from {lowest} to {highest} | 須為 {lowest} 到 {highest} 之間的數字 | 须为 {lowest} 到 {highest} 之间的数字
why_title      | need a text of one line, at most 200 characters | 須為單行文字，最多 200 個字元 | 须为单行文字，最多 200 个字符
why_table      | need a table        | 須為 TOML 表格 | 须为 TOML 表
samples        | samples             | 個取樣       | 个采样
bytes          | bytes               | 位元組       | 字节
"""  # noqa: E501


def _table() -> Mapping[Language, Mapping[str, str]]:
    rows = [[cell.strip() for cell in row.split("|")] for row in _ROWS.strip().splitlines()]
    languages: tuple[Language, ...] = ("en", "zh-Hant", "zh-Hans")
    return {one: {row[0]: row[place] for row in rows} for place, one in enumerate(languages, start=1)}


WORDS: Mapping[Language, Mapping[str, str]] = _table()


def word(name: str, language: Language, **parameters: object) -> str:
    """The label called `name`."""
    return WORDS[language][name].format(**parameters)
