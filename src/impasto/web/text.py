"""Every word of the page, in English and in Simplified Chinese; the browser's language chooses."""

import gradio as gr

WORDS = {  # what the code calls it: English, Chinese
    "tagline": ("Repaint pictures, clips and sounds. Watch networks draw.", "重绘图片、视频和声音，看神经网络作画。"),
    "tab style": ("Style", "风格"),
    "tab video": ("Video", "视频"),
    "tab music": ("Music", "音乐"),
    "tab models": ("Models", "模型"),
    "tab inspect": ("Inspect", "查看"),
    # Shared
    "cancel": ("Cancel", "取消"),
    "cancelled": ("Cancelled.", "已取消。"),
    "starting": ("Starting …", "正在开始……"),
    "working": ("{share} done, {left} left", "已完成 {share}，剩余 {left}"),
    "download": ("Download", "下载"),
    "seed": ("Seed", "随机种子"),
    "strength": ("Strength", "风格强度"),
    "strength info": ("0 gives the original back", "0 为原样"),
    "quality": ("Quality", "质量"),
    "size": ("Size", "尺寸"),
    "size info": ("Long side in pixels", "长边像素数"),
    # Style
    "photograph": ("Photograph", "照片"),
    "styles": ("Style", "风格"),
    "several blend": ("Several blend", "可多选，会相互融合"),
    "own styles": ("Or pictures of your own to take the style from", "或上传自己的图片作为风格"),
    "style facets": ("Facets", "棱面"),
    "style ink": ("Ink", "蚀刻"),
    "style meadow": ("Meadow", "花草"),
    "style mosaic": ("Mosaic", "马赛克"),
    "style swirl": ("Swirl", "漩涡"),
    "style wave": ("Wave", "海浪"),
    "quality draft": ("Draft", "草稿"),
    "quality fine": ("Fine", "精细"),
    "quality gallery": ("Gallery", "展览级"),
    "quality gatys": ("Gatys 2015", "Gatys 2015"),
    "quality info": (
        "A draft is there at once; gallery and Gatys take minutes",
        "草稿即刻可得；展览级和 Gatys 需要数分钟",
    ),
    "brush": ("Brush size", "笔触大小"),
    "brush info": ("2 is twice as broad", "2 为两倍宽"),
    "more settings": ("Colour, size and more", "颜色、尺寸及其他"),
    "content": ("Keep the content", "保留内容"),
    "content info": ("More keeps the forms closer to the photograph; not for drafts", "越大越贴近原图轮廓；对草稿无效"),
    "colour": ("Colour", "颜色"),
    "colour style": ("The style's", "用风格的颜色"),
    "colour luminance": ("The photograph's", "用照片的颜色"),
    "colour histogram": ("Its tones matched", "按直方图匹配"),
    "colour covariance": ("Its palette matched", "按色彩分布匹配"),
    "start": ("Start from", "起点"),
    "start info": ("Other seeds change only what starts from noise", "只有含噪声的起点才受随机种子影响"),
    "start quality": ("As the quality has it", "由质量决定"),
    "start content": ("The photograph", "照片"),
    "start noise": ("Noise", "噪声"),
    "start style": ("The style's colours, with noise", "带噪声的风格颜色"),
    "mask": ("Paint only a part", "只处理一部分"),
    "mask what": ("What you draw over …", "涂抹的部分……"),
    "mask protect": ("stays as it is", "保持原样"),
    "mask only": ("gets the style, and nothing else", "才应用风格"),
    "mask drawn": ("Draw on the photograph", "在照片上涂抹"),
    "paint": ("Paint", "开始绘制"),
    "style hint": ("Choose a photograph and a style, then paint.", "选择照片和风格，然后开始绘制。"),
    "before and after": ("Before and after", "前后对比"),
    "download mask": ("Download the mask", "下载蒙版"),
    "again": ("Again with another seed", "换个种子再来一次"),
    "painted": (
        "{width} × {height} pixels. The file carries its recipe.",
        "{width} × {height} 像素。文件内含制作配方。",
    ),
    "needs photograph": ("Choose a photograph first.", "请先选择一张照片。"),
    "needs style": ("Choose at least one style.", "请至少选择一种风格。"),
    "draft has no seed": (
        "A draft has no seed: it is always the same. Take another quality.",
        "草稿没有随机种子，结果总是相同。请换一种质量。",
    ),
}


def translations() -> gr.I18n:
    """What the page is launched with."""
    english, chinese = ({key: pair[i] for key, pair in WORDS.items()} for i in (0, 1))
    return gr.I18n(**{"en": english, "zh-CN": chinese, "zh": chinese})


def t(key: str) -> gr.I18n:
    """A word that the page itself translates: of a label, a button, a choice (as `str`)."""
    if key not in WORDS:
        raise KeyError(key)
    return gr.I18n()(key)  # type: ignore[return-value]


def said(request: gr.Request, key: str, **values: object) -> str:
    """A sentence in the language that the visitor's browser asks for."""
    chinese = (request.headers or {}).get("accept-language", "").lower().startswith("zh")
    return WORDS[key][chinese].format(**values)
