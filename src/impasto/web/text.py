"""Every word of the page, in English and in Simplified Chinese; the browser's language chooses."""

from typing import Any

import gradio as gr
from gradio.i18n import I18nData

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
    "working": ("Working …", "正在进行……"),
    "done and left": ("{share} done, {left} left", "已完成 {share}，剩余 {left}"),
    "download": ("Download", "下载"),
    "seed": ("Seed", "随机种子"),
    "strength": ("Strength", "风格强度"),
    "strength info": ("0 is the original", "0 为原样"),
    "quality": ("Quality", "质量"),
    "size": ("Size", "尺寸"),
    "size info": ("Long side in pixels", "长边像素数"),
    # Style
    "photograph": ("Photograph", "照片"),
    "photo chelsea": ("Try a cat", "试试猫"),
    "photo coffee": ("Try a cup", "试试咖啡"),
    "photo rocket": ("Try a rocket", "试试火箭"),
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
    "freedom": ("True to the photograph – free", "忠于照片 – 自由"),
    "freedom info": ("How far forms may leave it; not for Gatys", "轮廓可偏离照片的程度；Gatys 不使用"),
    "colour": ("Colour", "颜色"),
    "colour style": ("The style's", "用风格的颜色"),
    "colour luminance": ("The photograph's", "用照片的颜色"),
    "colour histogram": ("Its tones matched", "按直方图匹配"),
    "colour covariance": ("Its palette matched", "按色彩分布匹配"),
    "init": ("Start from", "起点"),
    "init info": ("Other seeds change only what starts from noise", "只有含噪声的起点才受随机种子影响"),
    "init quality": ("As the quality has it", "由质量决定"),
    "init content": ("The photograph", "照片"),
    "init noise": ("Noise", "噪声"),
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
    "painted picture": (
        "{width} × {height} pixels. The file carries its recipe.",
        "{width} × {height} 像素。文件内含制作配方。",
    ),
    "needs photograph": ("Choose a photograph first.", "请先选择一张照片。"),
    "needs style": ("Choose at least one style.", "请至少选择一种风格。"),
    "draft has no seed": (
        "A draft has no seed: it is always the same. Take another quality.",
        "草稿没有随机种子，结果总是相同。请换一种质量。",
    ),
    # Video
    "clip": ("Clip", "视频"),
    "clip quality info": ("Fine takes seconds for each frame", "精细模式每帧需要数秒"),
    "take turns": ("Styles take turns", "风格依次出现"),
    "take turns info": ("One after the other, instead of blending", "一个接一个，而不是融合"),
    "clip mask": ("Paint only a part", "只处理一部分"),
    "clip mask info": (
        "A black and white picture or clip: white gets the style",
        "黑白图片或视频：白色部分应用风格",
    ),
    "clip colour style": ("The style's", "用风格的颜色"),
    "clip colour luminance": ("The clip's", "用视频的颜色"),
    "paint clip": ("Paint the clip", "绘制视频"),
    "clip hint": ("Choose a clip and a style. The sound goes along.", "选择视频和风格，声音会保留。"),
    "painted frames": ("{frames} frames. The file carries its recipe.", "共 {frames} 帧。文件内含制作配方。"),
    "painted clip": ("Painted", "绘制结果"),
    "needs clip": ("Choose a clip first.", "请先选择一段视频。"),
    # Music
    "content sound": ("What to play: notes and rhythm", "要演奏的内容：音符与节奏"),
    "style sound": ("How it shall sound", "要模仿的音色"),
    "steps": ("Steps", "步数"),
    "steps info": ("More take longer", "越多越慢"),
    "transfer": ("Transfer the sound", "转换音色"),
    "music hint": (
        "Two recordings: one gives the notes and the rhythm, the other the sound.",
        "需要两段录音：一段提供音符和节奏，另一段提供音色。",
    ),
    "result": ("Result", "结果"),
    "played": ("{seconds} s of sound. The file carries its recipe.", "{seconds} 秒。文件内含制作配方。"),
    "needs sounds": ("Choose two recordings first.", "请先选择两段录音。"),
    # Models
    "tab sample": ("Draw", "绘制"),
    "tab latent": ("Plane", "潜空间"),
    "tab classify": ("Name", "识别"),
    "tab interpolate": ("Interpolate", "插值"),
    "tab inpaint": ("Complete", "补全"),
    "tab compare": ("Compare", "比较"),
    "model": ("Model", "模型"),
    "how many": ("How many", "数量"),
    "classes": ("Classes", "类别"),
    "classes info": ("7, or 0-9, or 3,1,4, or names; empty for any", "如 7、0-9、3,1,4 或类别名称；留空则随机"),
    "card": ("About this model", "关于此模型"),
    "draw": ("Draw", "绘制"),
    "sample hint": (
        "Watch diffusion find pictures in noise, and PixelCNN paint them row by row.",
        "看扩散模型从噪声中显出图像，看 PixelCNN 逐行作画。",
    ),
    "drawn": ("Drawn", "绘制结果"),
    "film": ("How it took shape", "成形过程"),
    "plane": ("All that two numbers can say", "两个数字所能表达的一切"),
    "plane hint": (
        "A VAE describes each digit by two numbers. Click a place of the plane, or move the sliders.",
        "这个 VAE 用两个数字描述每个手写数字。点击平面上的位置，或拖动滑块。",
    ),
    "right": ("To the right", "向右"),
    "up": ("Upwards", "向上"),
    "here": ("The picture there", "该处的图像"),
    "draw a digit": ("Draw a digit", "写一个数字"),
    "sheet hint": ("Take the brush, and draw.", "选择画笔，开始书写。"),
    "it is": ("It is …", "这是……"),
    "picture to name": ("Or drop a picture", "或拖入一张图片"),
    "classifiers info": (
        "cifar10-cnn knows ten kinds of animals and vehicles, mnist-cnn digits, white on black",
        "cifar10-cnn 认识十类动物和交通工具，mnist-cnn 认识黑底白字的数字",
    ),
    "rows": ("Rows", "行数"),
    "columns": ("Pictures in a row", "每行图片数"),
    "interpolate": ("Interpolate", "插值"),
    "draw a part": ("Draw a part of a digit", "写出数字的一部分"),
    "part": ("The model draws the …", "由模型补全……"),
    "part lower": ("lower half", "下半部分"),
    "part upper": ("upper half", "上半部分"),
    "part right": ("right half", "右半部分"),
    "part left": ("left half", "左半部分"),
    "complete": ("Complete", "补全"),
    "inpaint hint": ("Draw half of a digit, and see how it might go on.", "写半个数字，看模型如何续写。"),
    "compare": ("Draw with all of them", "让每个模型都画"),
    "compare hint": (
        "Ten pictures of each bundled model, the first ones, none chosen.",
        "每个自带模型的前十张图片，未经挑选。",
    ),
    "family": ("Family", "家族"),
    "megabytes": ("MB", "兆字节"),
    "seconds": ("Seconds a picture", "每张秒数"),
    "figures": ("Figures", "指标"),
    "needs drawing": ("Draw something first.", "请先画点什么。"),
    # Inspect
    "any file": ("A picture, a clip or a sound", "图片、视频或声音文件"),
    "inspect hint": (
        "Drop a file to see how it was made, and the labels that say an AI had a hand in it.",
        "拖入文件，查看它的制作过程以及 AI 生成标识。",
    ),
    "no recipe": ("No recipe and no labels in this file.", "此文件中没有制作配方，也没有标识。"),
    "recipe": ("Recipe and labels", "制作配方与标识"),
    "as json": ("As JSON", "JSON 格式"),
}


def translations() -> gr.I18n:
    """What the page is launched with."""
    english, chinese = ({key: pair[i] for key, pair in WORDS.items()} for i in (0, 1))
    return gr.I18n(**{"en": english, "zh-CN": chinese, "zh": chinese})


def t(key: str) -> Any:  # I18nData, which some components' annotations leave out
    """A word that the page itself translates: of a label, a button, a choice (as `str`)."""
    if key not in WORDS:
        raise KeyError(key)
    return I18nData(key)


def said(request: gr.Request, key: str, **values: object) -> str:
    """A sentence in the language that the visitor's browser asks for."""
    chinese = (request.headers or {}).get("accept-language", "").lower().startswith("zh")
    return WORDS[key][chinese].format(**values)
