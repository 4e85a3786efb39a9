# %% [markdown] lang="en"
# # 4. Pixel by pixel: PixelCNN and PixelRNN
#
# Read a picture like a text, row by row. By the chain rule of probability, exactly and without any approximation,
#
# $$ p(x) = \prod_i p(x_i \mid x_1, \dots, x_{i-1}), $$
#
# so a network that gives each pixel its probability **from those before it alone** is a model of pictures (van den Oord
# et al. 2016). Training is one pass for all pixels at once, drawing is one pass for each pixel. All depends on the word
# *before*: a convolution sees both sides, so its kernel is masked. **Mask A**, in the first layer, hides the pixel itself
# and all that follow; **mask B**, in later layers, lets the pixel's own features pass, for they know nothing of it.

# %% [markdown] lang="zh-CN"
# # 4. 一个像素接一个像素：PixelCNN 与 PixelRNN
#
# 像读文章一样一行一行地读图片。由概率的链式法则，精确地、不带任何近似地有
#
# $$ p(x) = \prod_i p(x_i \mid x_1, \dots, x_{i-1}), $$
#
# 所以，一个**只根据前面的像素**给出每个像素概率的网络，就是图片的模型（van den Oord 等 2016）。训练时一遍算完所有像素，
# 画图时每个像素要算一遍。关键全在"前面"二字：卷积两边都看得见，所以卷积核要加掩码。第一层用**掩码 A**，遮住像素自己和后面的一切；
# 后面的层用**掩码 B**，允许看这个像素自己的特征，因为那些特征并不知道它的值。

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from impasto.data import load
from impasto.media.grids import grid

DATA = "glyphs"  # or "mnist"
STEPS = 350
SIDE = 14
torch.set_num_threads(2)
train = load(DATA, "train")


def black_and_white(n: int) -> torch.Tensor:
    """Pictures of half the size, so that drawing takes seconds."""
    pictures = F.avg_pool2d(train.batch(torch.randint(len(train), (n,))).images, 2)
    return (pictures > 0.35).float()

# %% [markdown] lang="en"
# ## The core
# One class for both masks, and seven layers of it.

# %% [markdown] lang="zh-CN"
# ## 核心
# 一个类实现两种掩码，用它叠七层。

# %%
class Masked(nn.Conv2d):
    def __init__(self, kind: str, *sizes: int) -> None:
        super().__init__(*sizes, padding="same")
        self.register_buffer("mask", torch.ones_like(self.weight))
        middle, seen = sizes[2] // 2, {"A": 0, "B": 1, "none": 99}[kind]
        self.mask[:, :, middle, middle + seen :] = 0
        if kind != "none":
            self.mask[:, :, middle + 1 :] = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


def network(first: str, others: str) -> nn.Module:
    torch.manual_seed(0)
    hidden = [layer for _ in range(5) for layer in (Masked(others, 48, 48, 3), nn.ReLU())]
    return nn.Sequential(Masked(first, 1, 48, 7), nn.ReLU(), *hidden, nn.Conv2d(48, 1, 1))


def learn(model: nn.Module) -> list[float]:
    """-log p(x), nats a picture, at each step."""
    adam, found = torch.optim.Adam(model.parameters(), 2e-3), []
    for _ in range(STEPS):
        x = black_and_white(64)
        loss = F.binary_cross_entropy_with_logits(model(x), x, reduction="none").sum((1, 2, 3)).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        found.append(loss.item())
    return found


@torch.no_grad()
def drawn(model: nn.Module, n: int = 24) -> torch.Tensor:
    x = torch.zeros(n, 1, SIDE, SIDE)
    for row in range(SIDE):
        for column in range(SIDE):
            x[:, 0, row, column] = model(x)[:, 0, row, column].sigmoid().bernoulli()
    return x


right = network("A", "B")
curve = learn(right)

# %% [markdown] lang="en"
# ## The mistake: a mask that hides too little
# Take mask B in the first layer too, or forget the masks. The loss falls wonderfully, to almost nothing: each pixel is
# asked for its own value, and finds it. Nothing is learnt about digits, and drawing, which begins with an empty picture,
# shows it. **A likelihood that is too good to be true is not true**; the gradient tells what a pixel sees.

# %% [markdown] lang="zh-CN"
# ## 常见错误：掩码遮得不够
# 第一层也用掩码 B，或者干脆忘了掩码。损失会漂亮地降到几乎为零：问每个像素自己的值，而它就看得见自己。
# 关于数字什么也没学到；画图是从空白开始的，一画就露馅。**好得不像真的似然，就不是真的**；一个像素到底看见了什么，梯度会告诉你。

# %%
wrong = network("B", "B")
curves = {"mask A, then B": curve, "mask B everywhere": learn(wrong)}
figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), width_ratios=[1, 1, 1.2])
for panel, model, name in zip(panels, (right, wrong), curves, strict=False):
    panel.imshow(grid(drawn(model), 6)[0].permute(1, 2, 0))
    panel.set_title(f"drawn: {name}", fontsize=10)
    panel.axis("off")
for name, losses in curves.items():
    panels[2].plot(losses, label=f"{name}: {sum(losses[-20:]) / 20:.1f}")
panels[2].set(title="- log p(x), nats", xlabel="steps", ylim=(0, 60))
panels[2].legend(fontsize=8)
plt.show()

# %% [markdown] lang="en"
# What the pixel with the red dot sees (white), by the gradient of its logit: with mask B everywhere also itself. And
# there is a fault of masks that nobody finds by the loss. Stacked masks see less than they could: above to the right
# there is a **blind spot**. Gated PixelCNN closes it with two stacks, PixelRNN with a memory.

# %% [markdown] lang="zh-CN"
# 红点处的像素看见了什么（白色），由它的 logit 的梯度给出：处处用掩码 B 时，它连自己也看见了。
# 还有一个损失发现不了的毛病：叠起来的掩码看得比该看的少，右上方有一个**盲区**。门控 PixelCNN 用两个卷积栈补上它，PixelRNN 用记忆补上它。

# %%
from impasto.models.pixelcnn import PixelCNN, PixelCNNConfig


def seen(model: nn.Module) -> torch.Tensor:
    x = torch.rand(8, 1, SIDE, SIDE, requires_grad=True)
    answer = model(x).flatten(1, -3)[:, -1]  # [8, S, S]: a logit for each pixel
    return torch.autograd.grad(answer[:, 7, 7].sum(), x)[0].abs().sum((0, 1))


torch.manual_seed(0)
gated = PixelCNN(PixelCNNConfig(size=SIDE, classes=0, levels=2))
nn.init.normal_(gated.logits.weight)  # it begins with zeros, which see nothing
stacked = nn.Sequential(Masked("A", 1, 16, 3), *[Masked("B", 16, 16, 3) for _ in range(6)], Masked("B", 16, 1, 1))
figure, panels = plt.subplots(1, 4, figsize=(11, 3))
named = {"mask A, then B": right, "mask B everywhere": wrong, "3 × 3 masks alone": stacked, "Impasto's PixelCNN": gated}
for panel, (name, model) in zip(panels, named.items(), strict=True):
    panel.imshow(seen(model) > 0, cmap="gray")
    panel.plot(7, 7, "r.")
    panel.set_title(name, fontsize=10)
    panel.axis("off")
plt.show()

# %% [markdown] lang="en"
# ## With Impasto
# `pixelcnn` is the gated one, `pixelrnn` has diagonal LSTMs (or rows: `--preset row`); both give the exact likelihood, and
# both complete pictures of which the upper part is known. A few minutes are little for them: here two bundled models,
# trained on MNIST, draw and complete.

# %% [markdown] lang="zh-CN"
# ## 用 Impasto
# `pixelcnn` 是门控的那一种，`pixelrnn` 用对角 LSTM（也可以按行：`--preset row`）；两者都给出精确的似然，也都能把已知上半部分的图片补完。
# 几分钟对它们来说太短：这里由两个随软件附带、在 MNIST 上训练好的模型来画图和补图。

# %% language="bash"
# impasto train pixelcnn --data glyphs --quick --minutes 0.7 -o run
# impasto sample run -n 20 -o own.png
# impasto sample mnist-pixelcnn -n 20 -o samples.png
# impasto sample mnist-pixelrnn -n 1 -o digits
# impasto inpaint mnist-pixelrnn digits/00000.png -n 8 -o completed.png

# %%
from IPython.display import Image, display

for name in ("own", "samples", "completed"):
    display(Image(f"{name}.png", width=420))

# %% [markdown] lang="en"
# ## Questions
# 1. Two levels: the network of zeros has $-\log p(x) = 196 \log 2$. Why?
# 2. For three channels the order is red, green, blue within a pixel. What do masks have to hide then?
# 3. Drawing asks the whole network 196 times. What of that has been computed before?

# %% [markdown] lang="zh-CN"
# ## 思考题
# 1. 两个亮度级时，输出全为零的网络的 $-\log p(x) = 196 \log 2$。为什么？
# 2. 三个通道时，像素内的顺序是红、绿、蓝。这时掩码要遮住什么？
# 3. 画一张图要把整个网络问 196 遍。其中有哪些是以前已经算过的？
