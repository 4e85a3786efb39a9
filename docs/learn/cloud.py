# %% [markdown] lang="en"
# # 7. A style is a cloud
#
# Gram matrices say which features a painting has and which go together, not which belongs *where*. A sky may get the
# texture of a tree, if only the sums come out right. So keep all features: each place of the painting is a **point**, the
# style is the cloud of them, and every place of the result shall look like *some* place of the painting (Li and Wand
# 2016; Chen and Schmidt 2016; Kolkin et al. 2022). With features $f_i$ of the result, $p_j$ of the painting, both
# centred and of length 1,
#
# $$ m(i) = \operatorname{argmax}_j \langle q_i, p_j \rangle, \qquad L = \sum_i \left( 1 - \langle f_i, p_{m(i)} \rangle \right). $$
#
# What is looked for, the query $q_i$, is a mix of what the result is there and of the **photograph**: so the content
# says *which* point a place gets, and need not pull at the pixels.

# %% [markdown] lang="zh-CN"
# # 7. 风格是一片云
#
# Gram 矩阵说的是一幅画有哪些特征、哪些一起出现，却不说哪个该*在哪里*。只要总和对得上，天空也可能长出树的纹理。
# 那就把所有特征都留下：画上的每一处是一个**点**，风格就是这些点组成的云；结果的每一处，都要像画上的*某一处*
# （Li 和 Wand 2016；Chen 和 Schmidt 2016；Kolkin 等 2022）。设结果的特征为 $f_i$，画的特征为 $p_j$，都减去均值并取单位长度，
#
# $$ m(i) = \operatorname{argmax}_j \langle q_i, p_j \rangle, \qquad L = \sum_i \left( 1 - \langle f_i, p_{m(i)} \rangle \right). $$
#
# 用来查找的 $q_i$ 是结果此处的样子与**照片**的混合：内容由此决定一处得到*哪个*点，而不必去拉扯像素。

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
from impasto.style.optimise import collapsed, laplacian

SIDES = (96, 192)
STEPS = 60
torch.set_num_threads(2)
set_matplotlib_formats("jpeg")  # of paintings, PNG is four times as large
network = registry.load("compact")
photo = fit(torch.from_numpy(data.rocket()).permute(2, 0, 1)[None] / 255, SIDES[-1])
painting = fit(impasto.read(STYLES["mosaic"]).pixels, SIDES[-1])
LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block3_conv4")


def show(pictures: dict[str, torch.Tensor]) -> None:
    _, panels = plt.subplots(1, len(pictures), figsize=(3.6 * len(pictures), 3))
    for panel, (name, pixels) in zip(panels, pictures.items(), strict=True):
        panel.imshow(pixels[0].permute(1, 2, 0).clamp(0, 1), interpolation="lanczos")
        panel.set_title(name, fontsize=10)
        panel.axis("off")


show({"the photograph": photo, "the painting": painting})

# %% [markdown] lang="en"
# ## The core
# The features of all layers are laid over each other on the grid of four pixels: a *hypercolumn* for each place. From
# coarse to fine, and on a Laplacian pyramid of the pixels, for large forms shall be as easy to change as small ones.

# %% [markdown] lang="zh-CN"
# ## 核心
# 把所有层的特征叠放在四像素的网格上：每一处一根*超列*。由粗到细，并在像素的拉普拉斯金字塔上优化，这样大的形状和小的一样容易改变。

# %%
def columns(pixels: torch.Tensor) -> torch.Tensor:
    """[places, D]: each layer of the size 1, so that all count alike."""
    grid = (pixels.shape[2] // 4, pixels.shape[3] // 4)
    found = [F.interpolate(f, grid, mode="area") for f in network(pixels, LAYERS).values()]
    return torch.cat([F.normalize(f, dim=1) for f in found], 1)[0].flatten(1).T


def matched(photo, painting, freedom: float = 0.5, by_content: bool = True, start=None) -> torch.Tensor:
    picture = start
    for side in SIDES:
        target = fit(photo, side)
        with torch.no_grad():
            points = columns(fit(painting, side))
            centre = points.mean(0)
            keys = F.normalize(points - centre, dim=1)
            guide = columns(target)
            guide = F.normalize(guide - guide.mean(0), dim=1)
        picture = target if picture is None else picture
        picture = F.interpolate(picture, target.shape[2:], mode="bilinear")
        bands = [band.clone().requires_grad_() for band in laplacian(picture, 5)]
        adam = torch.optim.Adam(bands, lr=0.01)
        for step in range(STEPS):
            found = F.normalize(columns(collapsed(bands).clamp(0, 1)) - centre, dim=1)
            if step % 10 == 0:
                query = found.detach()
                query = F.normalize(query - query.mean(0), dim=1)
                if by_content:
                    query = freedom * query + (1 - freedom) * guide
                nearest = (query @ keys.T).argmax(1)
            loss = (1 - (found * keys[nearest]).sum(1)).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        picture = collapsed(bands).detach().clamp(0, 1)
    return picture


result = matched(photo, painting)

# %% [markdown] lang="en"
# ## The mistake: nearest to the result alone
# Without the photograph in the query, each place takes what it is nearest to already and stays there: flat ones become
# flatter, and what the picture began with decides all. Begin with noise, and there is no photograph left at all.

# %% [markdown] lang="zh-CN"
# ## 常见错误：只按结果自己来找
# 查找时不看照片，每一处就会选它本来就最接近的点，并停在那里：平的地方更平，一切都由起点决定。从噪声开始的话，照片就一点也不剩了。

# %%
torch.manual_seed(0)
show({
    "the photograph says which": result,
    "the result alone": matched(photo, painting, by_content=False),
    "alone, from noise": matched(photo, painting, by_content=False, start=torch.rand_like(photo)),
})

# %% [markdown] lang="en"
# ## How free?
# The share of the result's own look in the query is a knob that people understand: from *true to the photograph* to
# *free*. In Impasto it is `--freedom`.

# %% [markdown] lang="zh-CN"
# ## 多自由？
# 结果自己的样子在查找中占多少，是一个人人都懂的旋钮：从*忠于照片*到*自由*。在 Impasto 里它叫 `--freedom`。

# %%
show({f"freedom {f}": impasto.stylize(Picture(photo), STYLES["mosaic"], size=288, freedom=f).pixels for f in (0.0, 0.5, 1.0)})

# %% [markdown] lang="en"
# ## What Impasto adds
# Whole patches of features instead of averages; a correction that keeps a few points from serving everybody; places that
# hear from their neighbours, so that strokes go on; a quarter of moments, for palette and coverage; and `draft`, a network
# that learned to do all that in one pass. [The formulas](../methods.md) say how.

# %% [markdown] lang="zh-CN"
# ## Impasto 还做了什么
# 用整块的特征代替平均；做一个修正，免得少数几个点被人人选中；每一处听取邻居的意见，让笔触连下去；
# 加上一份矩，保住色调和覆盖面；还有 `draft`，一个学会了一遍完成这一切的网络。[公式](../methods.md)里写着怎么做。

# %%
picture = Picture(fit(torch.from_numpy(data.rocket()).permute(2, 0, 1)[None] / 255, 320))
show({q: impasto.stylize(picture, STYLES["mosaic"], quality=q).pixels for q in ("draft", "fine")})

# %% [markdown] lang="en"
# ## Questions
# 1. Two paintings at once: what is the union of two clouds, and what would the mean of two Gram matrices be?
# 2. The cosine is between centred vectors. What goes wrong with dark paintings if it is not?
# 3. Matching costs places × points. What would you do at 4000 × 3000 pixels?

# %% [markdown] lang="zh-CN"
# ## 思考题
# 1. 同时用两幅画：两片云的并集是什么？两个 Gram 矩阵的平均又是什么？
# 2. 余弦是在减去均值的向量之间算的。如果不减，暗色的画会出什么问题？
# 3. 匹配的代价是位置数 × 点数。4000 × 3000 像素时你会怎么办？
