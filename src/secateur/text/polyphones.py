"""Characters with several readings, where a dictionary of words alone reads them wrong: what stands beside decides.

Rules are tried in order; the first whose neighbours fit gives the reading. Readings follow 现代汉语词典 and the table of
普通话异读词审音表 (1985). Surnames have readings of their own.
"""

# ruff: noqa: E501 (lines of the tables are short, but their characters count as two)

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence

_COUNTS = "一二三四五六七八九十百千万几两这那每哪半数"
_PEOPLE = "(?:[我你他她它咱您谁]们?|妈妈|爸爸|老师|大家)"
_DO = (
    "走|去|来|好好|先|再|快|早|多|少|问|看|听|说|想|找|做|干|买|吃|喝|睡|学|练|改|换|等|让|叫|把|给|跟|和|对|向|在|靠|用|花|赶|回|起|上|下|出|进|"
    "开|关|打|写|读|背|洗|收|小心|注意|加|有|是|认真|努力|自己|马上|立刻|抓紧|慢慢|亲自|一起|按|交|付|赔|挨"
)
# character: (what stands before, what stands after, reading), regular expressions; empty: anything.
RULES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "还": (
        ("", "了(?!得)", "huan2"),
        ("", "(?:给|钱|债|清|款|书|账|贷|车|本|利息|人情)(?!是|有|没|不|要|在|得)", "huan2"),
        ("", "[我你他她]们?(?:$|钱|东西|书|清白|一个公道|车|债)", "huan2"),
        ("(?:要|没|不|去|来|忘了|必须|得|可以|怎么|偿|归|明天|后天|下周|下个月|早点|尽快|按时)$", "(?:$|了|吗|吧|的)", "huan2"),
        ("(?:书|钱|债|账|款|贷|车|东西|都|已经|早就|全)$", "(?:了|清|完|上)", "huan2"),
        ("(?:时候|什么时|明天|后天|下周|快|早点|先|再|得|要|来|去|没|忘了)$", "(?:[我你他她]们?|书|这)(?!是|有|没|在|不|会|能|要|想|得|可|说|就)", "huan2"),
    ),
    "得": (
        ("", "了?(?:[一二三]等奖|重病|大病|绝症|糖尿病|肿瘤|新冠|流感|抑郁症|白血病|感冒|满分|高分|零分|冠军|亚军|季军|第[一二三四五六]|病|奖|癌|肺炎|金牌|银牌|铜牌|诺贝尔|多少分|"
             "[一二三四五六七八九十百两几]+[分票块元枚])", "de2"),
        ("(?:事|活儿?|这|那)$", f"{_PEOPLE}", "dei3"),
        ("[\u4e00-\u9fff]$", "(?:休息|赶紧|马上|重新|想办法|看医生|吃药|上班|回家|买(?!起|到)|还(?:[钱债你我他]|$))", "dei3"),
        (f"(?:{_PEOPLE}|人|事|天|这|钱|也|还|总|都|就|必|又|非|上午|下午|晚上|早上|以后|现在|反正|孩子|那|最|真|可)$", f"(?:{_DO})", "dei3"),
        ("[\u4e00-\u9fff]$", "", "de5"),
    ),
    "只": ((f"[{_COUNTS}多俩仨]$", "(?!有|是|要|能|会|好|得|剩|见|需|为|因|想|顾|管|怕|不过)", "zhi1"), ),
    "干": (
        ("(?:晒|擦|吹|烘|晾|弄|变|烤|喝|哭|抽|榨|拧|甩|沥|风|阴)$", "(?:$|了|的|透|净)", "gan1"),
        ("(?:水|河|井|漆|头发|衣服|嘴|口|泪|汗|很|太|好|快|有点|没)$", "(?:$|透|枯|涸|燥|了(?:$|[吗吧没]))", "gan1"),
    ),
    "行": (("同$", "(?:的(?:人|还有|伙伴|朋友)|者|前往|之人)", "xing2"), (f"(?:[{_COUNTS}各本同]|第[一二三四五六七八九十]+|改|换|懂)$", "(?!为|人|走|动|驶|政|李|星|程|吗|不行|者|船)", "hang2"), ),
    "长": (
        ("发$", "得(?![很真太好]?[快慢])", "chang2"),
        ("", "长了?$", "zhang3"),
        ("长$", "", "chang2"),
        ("", "(?:时间|期|达|城|江|久|远|度|短|途|假|裙|裤|发|跑|椅|袖|款|线)", "chang2"),
        ("", "(?:得|成|出|满|胖|高了|大|毛|虫|草|痘|肉|个儿)", "zhang3"),
    ),
    "调": (
        (f"(?:{_PEOPLE}|人|被|兵)$", "(?:到|去|来|走|离|回)", "diao4"),
        ("", "(?:[高低亮暗慢响轻好准匀]|大(?![批量军队])|小(?![王李张组队])|快(?![递艇])|一下(?!岗)|一调|个(?:频道|台|音|闹钟|座|温度)|成|音(?!信))", "tiao2"),
        ("(?:空调|温度?|音量?|亮度|声音?|频道|闹钟|时间|水温|风速|灯光?|电视|收音机|音响|火|价格|颜色|焦距|座[位椅]|窗帘)$", "(?:到|回|至|得)", "tiao2"),
        ("", "到了?(?:[零一二三四五六七八九十百两几]+[度点档挡频格级分%]|百分之|最[大小高低亮暗]|静音|振动|震动|中央|第?[一二三四五六七八九十]+[台频])", "tiao2"),
    ),
    "重": (("", "(?:写|做|来|说|新|复|装|建|启|置|返|播|考|修|读|温|申|组|叠|现|演|印|拍|逢|走)", "chong2"), ),
    "为": (("(?:变|成|作|称|认|以|改|分|化|列|视|评|选|定|命名|译|升|降|约|仅|均|皆|名|转|誉|沦|行|所)$", "", "wei2"), ),
    "数": (("", "一下", "shu3"), ("", "(?:钱|一?数|到|羊|星星|不?清|得清|着)", "shu3"), ("数一$", "", "shu3")),
    "教": ((f"(?:{_PEOPLE}|来|去|会|想|能|要|不|没|就)$",
           "(?:[你我他她]|书|过|会|了|人|孩子|学生|大家|给|小|英语|数学|语文|中文)", "jiao1"), ),
    "着": (("(?:睡|找|点|猜|够|碰|遇|逮|抓|睡[不得]|找[不得]|够[不得]|用[不得]|犯[不得])$", "(?:$|了|吗|吧)", "zhao2"), ),
    "了": (("不得$", "(?!了)", "liao3"), ("[\u4e00-\u9fff]不$", "(?:$|[你我他她它吗的啊呢吧]|多久|多少|那么|这么)", "liao3"),
          ("[受办吃拿做去来管用忘写走跑卖买]得$", "", "liao3")),
    "地": (("(..)\\1$", "", "de5"), ("(?:[块片亩寸]|扫|拖|擦|种|耕|占|荒)$", "", "di4"), ("(?:[使用费卯]劲|个劲|尽情|放声|可劲)$", "(?![上下里面方球铁区])", "de5"), ("(.)\\1$", "(?!上|下|里|面|方|球|铁|区)", "de5"), ),
    "卡": (
        ("(?:电脑|手机|系统|网络?|游戏|画面|视频|屏幕|程序|软件|页面)(?:又|总|老|太|好|有点|突然|一直|都)?$", "", "ka3"),
        ("(?:的|张|行|这|那|信用|饭|公交|会员|身份|门禁|交通)$", "", "ka3"),
        ("", "(?:住|在|脖子|壳|着(?!片)|进|不[进上])", "qia3"),
    ),
    "卜": (("萝$", "", "bo5"), ("", "", "bu3")),
    "血": (("点儿?$", "", "xie3"), ),
    "倒": (("(?:树|墙|车|房子|杯子|摔|跌|晕|绊|推|撞|压|累|吓|滑|吹|被)$", "(?:$|了|下|塌|闭|地|在)", "dao3"), ),
    "背": (("", "(?:书包|(?:着(?:书|孩子|包|吉他|枪|行李|一)|上行李|起|包|负|带))", "bei1"), ),
    "切": (("", "(?:菜|西瓜|肉|水果|蛋糕|面包|开|片|丝|丁|断|割|碎|葱|土豆)", "qie1"), ),
    "弹": (("", "(?:吉他|钢琴|琴|奏|唱|性|簧|跳|一首|得)", "tan2"), ),
    "差": (("(?:时|温|误|逆|落|偏|反|价|利|级)$", "", "cha1"), ),
    "冲": (("(?:说话|脾气|口气)(?:很|太|真|有点)?$", "", "chong4"), ),
    "将": (("麻$", "", "jiang4"), ),
    "结": (("", "(?:果子|实|巴)", "jie1"), ),
    "卷": (("(?:试|答|考|问|阅|交|画)$", "", "juan4"), ("", "子", "juan4")),
    "空": (("", "(?:着|位|座|格|缺|出来|出一)", "kong4"), ("(?:有|没|没有|得|抽|趁|闲)$", "(?!气|间|调|中|军|白|虚|洞|前|难)", "kong4")),
    "盛": (("", "(?:一?碗|饭|汤|菜|了一碗|满|起来)", "cheng2"), ),
    "落": (("", "(?:在后面|在后头|下了?(?:东西|一|钱包|手机|作业)|了东西|了一)", "la4"), ),
    "和": (("", "(?:面(?!前|对|积|条|包|子|临|谈|试|貌|向|具)(?:$|的|做|时|机)|泥)", "huo2"), ),
    "转": (("(?:轮|轴|盘|风扇|陀螺|机器|地球)$", "(?:得|着|个|动|起来|不停|$)", "zhuan4"), ("", "(?:圈|了[一两几]?圈|来转去|悠)", "zhuan4")),
    "脏": (("", "(?:衣|手|水|乱|话|东西|兮兮|了|得|的(?!器))", "zang1"), ("(?:很|太|弄|好|别|又|真|最|不|有点|搞|把)$", "", "zang1")),
    "宿": (("(?:[一两半几三整]|[一半]整)$", "(?!舍|命|主|敌|营)", "xiu3"), ),
    "削": (("", "(?:了?个?(?:皮|苹果|梨|土豆|萝卜|黄瓜|铅笔|竹|木头|果|面))", "xiao1"), ),
    "炸": (("", "(?:鸡|鱼|薯|油条|酱面|丸子|串|糕|猪排|虾|春卷|豆腐|土豆|排骨|物|洋葱|臭)", "zha2"), ("油$", "", "zha2")),
    "服": (("[一两三四五几半每这]$", "(?:中|汤)?药", "fu4"), ),
    "的": (("打$", "(?:去|来|回|到|过去|费)", "di1"), ),
    "石": (("[一二三四五六七八九十百千两几]$", "(?:粮|米|谷|麦|$)", "dan4"), ),
}  # fmt: skip
# Words whose reading in dictionaries of phrases is not the usual one of today.
PHRASES = {
    "大夫": "dai4 fu1", "流血": "liu2 xue4", "夹克": "jia1 ke4", "圈养": "juan4 yang3", "圈肥": "juan4 fei2", "羊圈": "yang2 juan4",
    "猪圈": "zhu1 juan4", "盖茨": "gai4 ci2", "朝阳区": "chao2 yang2 qu1", "朝阳门": "chao2 yang2 men2", "衣着": "yi1 zhuo2",
    "不得了": "bu4 de2 liao3", "了不得": "liao3 bu4 de2", "背书包": "bei1 shu1 bao1", "和面": "huo2 mian4", "脏话": "zang1 hua4",
    "士大夫": "shi4 da4 fu1", "肚子": "du4 zi5", "卷子": "juan4 zi5", "混蛋": "hun2 dan4", "琢磨": "zuo2 mo2", "旋风": "xuan4 feng1",
    "蒙古": "meng3 gu3", "内蒙古": "nei4 meng3 gu3", "蒙古包": "meng3 gu3 bao1", "蒙古族": "meng3 gu3 zu2", "蒙古国": "meng3 gu3 guo2",
    "典当行": "dian3 dang4 hang2", "心得": "xin1 de2", "和牌": "hu2 pai2", "大宛": "da4 yuan1", "壳子": "ke2 zi5", "色子": "shai3 zi5",
    "曾子": "zeng1 zi3", "孙子兵法": "sun1 zi3 bing1 fa3", "败家子": "bai4 jia1 zi3",
}  # fmt: skip
# Before 子 in its full tone: people, masters, particles, seeds (男子 孔子 电子 瓜子). After all others it is a suffix (妻子 房子).
FULL_ZI = frozenset(
    "男女父母王太皇公君才弟学游浪赤孝逆天臣夫世长次幼庶嫡养义亲之贵骄士诸孔孟老庄荀墨曾朱非谷生"
    "电原分粒离质中光量因核精卵孢瓜莲松鱼棋利"
)
# Names of places and of antiquity that words and their parts do not give away, where they stand as words.
PLACES = {
    "单县": "shan4 xian4", "洪洞": "hong2 tong2", "涡阳": "guo1 yang2", "乐亭": "lao4 ting2", "乐陵": "lao4 ling2",
    "浚县": "xun4 xian4", "筠连": "jun1 lian2", "宕昌": "tan4 chang1", "天台县": "tian1 tai1 xian4", "天台山": "tian1 tai1 shan1",
    "华阴": "hua4 yin1", "华县": "hua4 xian4", "解州": "hai4 zhou1", "什邡": "shi2 fang1", "会稽": "kuai4 ji1", "曲靖": "qu3 jing4",
    "高句丽": "gao1 gou1 li2", "尉氏": "wei4 shi4", "召公": "shao4 gong1", "台州": "tai1 zhou1", "六合区": "lu4 he2 qu1",
    "燕国": "yan1 guo2", "燕京": "yan1 jing1", "燕赵": "yan1 zhao4", "燕云": "yan1 yun2", "燕昭王": "yan1 zhao1 wang2",
    "漯河": "luo4 he2", "任县": "ren2 xian4", "叶公": "ye4 gong1", "长子县": "zhang3 zi3 xian4", "盖叫天": "gai4 jiao4 tian1", "卜算子": "bu3 suan4 zi3",
}  # fmt: skip
SURNAMES = {
    "单": "shan4", "仇": "qiu2", "查": "zha1", "解": "xie4", "曾": "zeng1", "任": "ren2", "朴": "piao2", "区": "ou1",
    "华": "hua4", "盖": "ge3", "缪": "miao4", "翟": "zhai2", "乐": "yue4", "员": "yun4", "葛": "ge3", "召": "shao4",
    "种": "chong2", "折": "she2", "繁": "po2", "冼": "xian3", "谌": "chen2", "隗": "wei3", "秘": "bi4", "都": "du1",
    "黑": "he4", "哈": "ha3", "过": "guo1", "燕": "yan1", "应": "ying1", "占": "zhan1", "祭": "zhai4", "相": "xiang4",
    "那": "na1", "宁": "ning4", "尉": "yu4", "覃": "qin2", "晟": "cheng2", "洗": "xian3", "逄": "pang2", "车": "che1",
}  # fmt: skip
# Beside a title these would be read as a surname where they are something else.
SELDOM = frozenset("区折种那过应相占黑都宁燕乐华祭")
_PLACE = re.compile("|".join(sorted(PLACES, key=len, reverse=True)))
_TITLE = re.compile(
    "先生|女士|小姐|老师|教授|医生|大夫|经理|总裁|主任|同学|局长|市长|书记|校长|院长|律师|师傅|阿姨|叔叔|爷爷|奶奶|某|氏"
)


def places(run: str, words: Sequence[int]) -> dict[int, str]:
    """Readings of `PLACES` in `run`, by character, where they begin and end with `words` (their lengths).

    >>> places("去单县", [1, 1, 1]), places("简单县城", [2, 2])
    ({1: 'shan4', 2: 'xian4'}, {})
    """
    borders = {0, *itertools.accumulate(words)}
    result: dict[int, str] = {}
    for name in _PLACE.finditer(run):
        ends = name.end() in borders or len(name[0]) > 2 or run[name.end()] in "县市区"
        if name.start() in borders and ends:
            result |= enumerate(PLACES[name[0]].split(), name.start())
    return result


@functools.cache
def _rules(character: str) -> tuple[tuple[re.Pattern[str], re.Pattern[str], str], ...]:
    return tuple((re.compile(before), re.compile(after), reading) for before, after, reading in RULES[character])


def has_rules(character: str) -> bool:
    """Whether neighbours may decide how `character` is read."""
    return character in RULES


def beside(text: str, at: int) -> str | None:
    """The reading that the neighbours of `text[at]` give it; None: they say nothing.

    >>> beside("我明天还钱", 3), beside("他还没来", 1)
    ('huan2', None)
    """
    if text[at] not in RULES:
        return None
    before, after = text[max(0, at - 6) : at], text[at + 1 : at + 8]
    return next((read for left, right, read in _rules(text[at]) if left.search(before) and right.match(after)), None)


def surname(text: str, at: int, name: bool) -> str | None:
    """The reading of `text[at]` as a surname, where it is one: after 姓, before a title, or in what is tagged a `name`.

    >>> surname("单老师来了", 0, False), surname("我姓解", 2, False), surname("解决问题", 0, False)
    ('shan4', 'xie4', None)
    """
    read = SURNAMES.get(text[at])
    if read is None:
        return None
    seldom = SELDOM if at else SELDOM - frozenset("区华燕乐")  # 区先生 is one at the begin, in 小区先生 there is none
    titled = text[at] not in seldom and _TITLE.match(text, at + 1) is not None
    return read if name or titled or text[max(0, at - 1) : at] == "姓" else None
