# %% [markdown] lang="en"
# # 6. The manner of a painting: style transfer after Gatys
#
# A network that knows pictures sees in its layers first edges and colours, later parts of things. Gatys, Ecker and Bethge
# (2015) asked for a picture whose features $F$ at one deep layer are those of the **photograph**, and whose features at
# several layers are *correlated* like those of the **painting**. The correlations forget where something is: that is the
# **Gram matrix** of a layer with $N$ places and $C$ channels,
#
# $$ G = \tfrac1N F^\top F \in \mathbb{R}^{C \times C}, \qquad
# L = \underbrace{\lVert F - F^{photo} \rVert^2}_{\text{content}} +
# w \sum_{l} \underbrace{\lVert G_l - G_l^{painting} \rVert^2}_{\text{style}}. $$
#
# Nothing is trained here: the weights stay, and the gradient goes to the **pixels**.

# %% [markdown] lang="zh-CN"
# # 6. 一幅画的手法：Gatys 的风格迁移
#
# 一个看惯图片的网络，浅层看到的是边缘和颜色，深层看到的是物体的部件。Gatys、Ecker 和 Bethge（2015）要找这样一张图片：
# 它在某个深层的特征 $F$ 与**照片**相同，而它在若干层的特征之间的*相关性*与**画**相同。相关性忘掉了东西在哪里：
# 一个有 $N$ 个位置、$C$ 个通道的层的 **Gram 矩阵**就是
#
# $$ G = \tfrac1N F^\top F \in \mathbb{R}^{C \times C}, \qquad
# L = \underbrace{\lVert F - F^{photo} \rVert^2}_{\text{内容}} +
# w \sum_{l} \underbrace{\lVert G_l - G_l^{painting} \rVert^2}_{\text{风格}}. $$
#
# 这里什么都不训练：权重不变，梯度作用在**像素**上。

# %%
import matplotlib.pyplot as plt
import torch
from matplotlib_inline.backend_inline import set_matplotlib_formats
from skimage import data
from torch.nn import functional as F

import impasto
from impasto.bundled import STYLES
from impasto.media.picture import Picture, fit
from impasto.perception import registry

SIDE = 192
STEPS = 120
torch.set_num_threads(2)
set_matplotlib_formats("jpeg")  # of paintings, PNG is four times as large
astronaut = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None] / 255
photo = fit(astronaut[..., :300, 60:400], SIDE)
painting = fit(impasto.read(STYLES["swirl"]).pixels, SIDE)


def show(pictures: dict[str, torch.Tensor]) -> None:
    _, panels = plt.subplots(1, len(pictures), figsize=(3.4 * len(pictures), 3.4))
    for panel, (name, pixels) in zip(panels, pictures.items(), strict=True):
        panel.imshow(pixels[0].permute(1, 2, 0).clamp(0, 1))
        panel.set_title(name, fontsize=10)
        panel.axis("off")


show({"the photograph": photo, "the painting": painting})

# %% [markdown] lang="en"
# ## The core
# The paper takes VGG-19. Impasto brings a small network that was taught to see what VGG sees (3 MB), so that nothing need
# be downloaded; `registry.load("vgg19")` is the large one. The paper's layers are `block1_conv1` to `block5_conv1` for style
# and `block4_conv2` for content (many programs: `block5_conv2`); the small one ends in block 4. Each term is divided by the
# size of its target, so that one weight fits all layers.

# %% [markdown] lang="zh-CN"
# ## 核心
# 论文用的是 VGG-19。Impasto 自带一个小网络（3 MB），它学会了看 VGG 所看到的东西，所以什么都不用下载；`registry.load("vgg19")` 是大的那个。
# 论文的风格层是 `block1_conv1` 到 `block5_conv1`，内容层是 `block4_conv2`（许多程序用 `block5_conv2`）；小网络到第 4 块为止。
# 每一项都除以目标自身的大小，这样同一个权重适合所有层。

# %%
network = registry.load("compact")
STYLE = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")
CONTENT = ("block4_conv3",)


def gram(features: torch.Tensor) -> torch.Tensor:
    rows = features.flatten(2)[0].T  # [N, C]: a row for each place
    return rows.T @ rows / len(rows)


def transferred(content_layers=CONTENT, style_layers=STYLE, of=gram, weight: float = 3.0, start=photo) -> torch.Tensor:
    with torch.no_grad():
        content = network(photo, content_layers)
        style = {name: of(f) for name, f in network(painting, style_layers).items()}
    pixels = start.clone().requires_grad_()
    adam = torch.optim.Adam([pixels], lr=0.02)
    for _ in range(STEPS):
        seen = network(pixels, tuple(dict.fromkeys((*content_layers, *style_layers))))
        far = [(seen[name] - f).square().sum() / f.square().sum() for name, f in content.items()]
        off = [(of(seen[name]) - g).square().sum() / g.square().sum() for name, g in style.items()]
        variation = pixels.diff(dim=2).abs().mean() + pixels.diff(dim=3).abs().mean()
        loss = sum(far) / len(far) + weight * sum(off) / len(off) + 0.1 * variation
        adam.zero_grad()
        loss.backward()
        adam.step()
        pixels.data.clamp_(0, 1)
    return pixels.detach()


result = transferred()
show({"style alone": transferred(content_layers=("block1_conv1",), weight=1e4, start=torch.rand_like(photo)),
      "photograph and style": result})

# %% [markdown] lang="en"
# ## Two mistakes
# **Layers changed over.** Content at a shallow layer and style at deep ones, as some code has it after a slip in a list:
# a shallow layer knows every pixel, so the photograph may not change; the deep ones say little of strokes.
#
# **Correlations of the wrong thing.** With `rows @ rows.T`, the product the other way round, $G$ is places × places: it
# remembers *where* everything in the painting is. (Popular where pictures are kept as [H, W, C] and the reshape slips.)

# %% [markdown] lang="zh-CN"
# ## 两个常见错误
# **层弄反了。** 列表里一个笔误，内容用了浅层，风格用了深层：浅层认得每一个像素，于是照片不许改变；而深层几乎不关心笔触。
#
# **算错了相关性。** 写成 `rows @ rows.T`，乘反了，$G$ 就成了位置 × 位置：它记住了画里每样东西*在哪里*。
# （图片存成 [H, W, C] 而 reshape 写错时，常犯这个错。）

# %%
def by_places(features: torch.Tensor) -> torch.Tensor:
    rows = F.adaptive_avg_pool2d(features, 24).flatten(2)[0].T
    return rows @ rows.T / rows.shape[1]


show({
    "as it should be": result,
    "layers changed over": transferred(("block1_conv1",), ("block4_conv3",)),
    "places instead of channels": transferred(of=by_places),
})

# %% [markdown] lang="en"
# ## With Impasto
# `--quality gatys` is the paper's recipe on a VGG. `fine`, the default, works from coarse to fine, and matches places too,
# which is the next lesson.

# %% [markdown] lang="zh-CN"
# ## 用 Impasto
# `--quality gatys` 就是论文的做法，用的是 VGG。默认的 `fine` 由粗到细，并且逐处匹配，这是下一课的内容。

# %%
fine = impasto.stylize(Picture(photo), STYLES["swirl"], size=2 * SIDE)
show({"by hand, Gram matrices alone": result, "Impasto's fine, twice the size": fine.pixels})

# %% [markdown] lang="en"
# ## Questions
# 1. Begin with noise instead of the photograph. What takes longer, and what becomes better?
# 2. Why does the painting's signature never come back, though each of its strokes does?
# 3. A Gram matrix is the second moment of the features. Which two pictures have the same one and look different?

# %% [markdown] lang="zh-CN"
# ## 思考题
# 1. 从噪声而不是从照片开始。什么会变慢？什么会变好？
# 2. 为什么画家的签名从不重现，而它的每一笔都会重现？
# 3. Gram 矩阵是特征的二阶矩。哪两张图片的 Gram 矩阵相同，看起来却不同？
