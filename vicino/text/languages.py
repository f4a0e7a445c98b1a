"""The languages that analyzers know: script, Snowball algorithm, stop words.

Stop words are function words: articles, pronouns, prepositions, conjunctions, auxiliaries. They serve twice: queries leave them out, and
a text's own tell its language. The lists are short on purpose; BM25 weighs frequent words down by itself, and a long list takes words that
mean something.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    name: str
    script: str
    # The algorithm of Snowball; None where it has none.
    snowball: str | None
    stop_words: tuple[str, ...] = ()
    # Accents are written or left out as people please, in documents too: accents="both" means the folded form alone.
    folds_accents: bool = False


def _language(name: str, script: str, snowball: str | None, stop_words: str = "", folds_accents: bool = False) -> Language:
    return Language(name, script, snowball, tuple(dict.fromkeys(stop_words.split())), folds_accents)


LANGUAGES: dict[str, Language] = {
    "en": _language("English", "latin", "english", """
        a an and are as at be been but by can do does for from had has have how if in into is it its no not of on or that the their
        then there these they this to was we were what when where which who why will with would you your he she his her him i me my
        our us them so than"""),
    "de": _language("German", "latin", "german", """
        aber als am an auch auf aus bei bin bis bist da damit das dass daß dem den der des die dies diese dieser dieses doch du
        durch ein eine einem einen einer eines er es für hat hatte ich ihr ihre im in ist ja kann mit nach nicht noch nur ob oder
        ohne sein seine sich sie sind so über um und uns unter vom von vor war waren was welche welcher welches wenn wer werden wie
        wir wird wo wurde wurden zu zum zur"""),
    "fr": _language("French", "latin", "french", """
        à au aux avec ce ces cet cette comme dans de des donc dont du elle elles en est et été être eu fut il ils je la le les leur
        leurs lui mais me même mes moi mon ne nos notre nous on ont ou où par pas plus pour qu que quel quelle quelles quels qui sa
        sans se ses si son sont sur ta te tes toi ton tu un une vos votre vous y était"""),
    "es": _language("Spanish", "latin", "spanish", """
        a al ante como con cual cuál cuando cuándo de del desde donde dónde el él ella ellas ellos en entre era es esta está este
        esto fue ha hasta hay la las le les lo los me mi muy más ni no nos o para pero por porque que qué quien quién se ser si sin
        sobre son su sus también te tu un una uno unos y ya yo"""),
    "it": _language("Italian", "latin", "italian", """
        a ad ai al alla alle allo anche che chi ci come con cosa cui da dai dal dalla dalle degli dei del della delle dello di dove
        e ed era fu gli ha hanno i il in io la le lei lo loro lui ma mi ne nei nel nella nelle non o per perché più quale quali
        quando quanto questa questo se si sono su sua sue sui sul sulla suo suoi tra un una uno è"""),
    "pt": _language("Portuguese", "latin", "portuguese", """
        a ao aos as às com como da das de do dos e ela ele eles em entre era essa esse esta está este eu foi há isso já lhe mais mas
        me meu muito na não nas no nos o onde os ou para pela pelas pelo pelos por porque qual quando que quem se sem ser seu seus
        sua suas são também te um uma à é"""),
    "nl": _language("Dutch", "latin", "dutch", """
        aan als bij dat de den der deze die dit door dus een en er haar had heb hebben heeft hem het hij hoe hun ik in is je kan
        maar me met mijn naar niet nog of om onder ook op over te tot uit van veel voor waar waren was wat we welke werd werden wie
        wij wordt worden ze zich zij zijn zo zou"""),
    "sv": _language("Swedish", "latin", "swedish", """
        alla att av blev bli blir de dem den denna det detta dig din du där då efter ej eller en er ett från för ha hade han hans
        har hon honom hur i icke ingen inte jag kan man med men mig min mot mycket ni nu när någon något och om oss på sig sin som
        så till under upp ut vad var vara vem vi vid vilka vilken vilket är över"""),
    "da": _language("Danish", "latin", "danish", """
        af alle at blev blive bliver da de dem den denne der deres det dette dig din du efter eller en end er et for fra ham han
        hans har have havde hende her hos hun hvad hvem hvilken hvor hvordan i ikke ind jeg kan kunne man med meget men mig min mod
        nej noget nu når og også om op os over på sig sin skal som til ud under var ved vi vil være"""),
    "no": _language("Norwegian", "latin", "norwegian", """
        alle at av ble blir bli da de dem den denne der deres det dette du eller en enn er et etter for fra før ha hadde han hans
        har hun hva hvem hvilken hvor hvordan i ikke jeg kan kunne man med meg men min mot noe noen nå når og også om opp oss over
        på seg sin skal som så til ut under var ved vi vil være ville"""),
    "fi": _language("Finnish", "latin", "finnish", """
        ei eivät ellei en entä että he hän ja jo joka jonka jos jossa jota joten kanssa koska kuin kuinka kuka kun me mihin mikä
        minkä minä mitä miten mutta myös missä milloin ne niin nyt näin oli olivat olla olen on ovat se sekä sen siinä siitä sitä
        sinä tai tämä tässä te tuo vaan vai vain voi"""),
    "hu": _language("Hungarian", "latin", "hungarian", """
        a az egy és is nem hogy de volt ez azt mint csak meg már még el ki be vagy ha van úgy kell lesz lett majd mert minden olyan
        ezt ami aki amely melyik milyen mi mikor hol hogyan miért akkor után alatt között szerint által ők ő én te"""),
    "ro": _language("Romanian", "latin", "romanian", """
        a acest această aceste acești ai al ale am ar are au ca care că cât ce cel cea cei cele cine cu cum când de despre din
        dintre după ea ei el ele era este eu fi fost în la le lui mai nu o pe pentru prin sau se sunt și şi și-a un una unei unui
        unde"""),
    "pl": _language("Polish", "latin", "polish", """
        a aby ale bez był była było były być co czy dla do gdy gdzie go i ich ile im ja jak jaka jaki jakie jako je jego jej jest
        już kiedy kto która które którego której który którzy lub ma może na nad nie niż o od oraz po pod przed przez przy są się
        tak także tego tej ten to tym w we z za ze że"""),
    "tr": _language("Turkish", "latin", "turkish", """
        acaba ama bir biz bu bunu bunun çok da daha de değil diye en gibi hangi hem her için ile ise kadar ki kim mi mı mu mü nasıl
        ne neden nerede o olan olarak oldu olduğu onun onlar sen siz şu ve veya ya yani zaman sonra kaç"""),
    "ca": _language("Catalan", "latin", "catalan", """
        al als amb aquest aquesta aquests com de del dels des el ella els en entre era és està fins ha han hi i la les li llur lo
        més molt no o on per perquè però quan que què qui quin quina se sense ser seu seva sobre són també un una uns"""),
    "cs": _language("Czech", "latin", "czech", """
        a aby ale ani bez být byl byla bylo byly co či do ho i jak jako je jeho její jejich jen ještě jsem jsou k kde kdo když která
        které který ke mezi na nad ne nebo není o od po pod podle proč před při s se si tak také ten to u v ve z za ze že"""),
    "id": _language("Indonesian", "latin", "indonesian", """
        ada adalah agar akan apa atau bagaimana bahwa bagi bisa dalam dan dapat dari dengan di hanya ini itu juga karena ke kepada
        kita mana mengapa mereka namun oleh pada para saat saja sangat saya sebagai secara sebuah seperti siapa sudah telah tersebut
        tidak untuk yang"""),
    "vi": _language("Vietnamese", "latin", None, """
        ai bao bị bởi cho có của cùng cũng các còn cái do gì hay hoặc khi không là lại mà mỗi một này những nhưng như nào nhiều nó ở
        ra rằng rất sau sẽ sự tại thì theo thế trong trên trước từ và vào vẫn về vì với đã đang đâu để đến đó được"""),
    "yo": _language("Yoruba", "latin", None, """
        àti àwọn awọn bí fún gẹ́gẹ́ gẹ́gẹ́bí gbogbo inú jẹ́ kan kí kò kọ́ láti lè lọ mo nì ní ninu nínú nígbà ń ò ó pẹ̀lú pé rẹ̀ ṣe
        ṣùgbọ́n ti tí sí wọn wọ́n yìí yi ta tani kini nibo àbí ati awon fun gege je ko lati ni nigba oun pelu pe re si sugbon won wo
        wa naa náà""", folds_accents=True),
    "ru": _language("Russian", "cyrillic", "russian", """
        а без бы был была были было в вам вас ваш во вот все всё вы где да для до его ее её если есть еще ещё же за и из или им их к
        как какая какие какой каком когда кого ко которая которого которой которые который кто ли мне мы на над нам нас не него нее
        ней нет ни но о об он она они оно от по под после при с сколько со так такой там то того тоже только том ты у уже чего чей
        чем что чтобы эта эти это этого этой этот я"""),
    "uk": _language("Ukrainian", "cyrillic", None, """
        а або але без би був була були було в вас ви від він вона вони воно все де для до є же з за зі і із її їх й його коли який
        яка яке які хто ми на над не немає ні о по під після при про та так також там те ти тільки то у це цей ця ці чи що щоб як я"""),
    "sr": _language("Serbian", "cyrillic", "serbian", """
        а али би био била било бити где да до га и из или им их ја је јер како као када који која које кад ли между ми на над не
        него о од он она они по под при са се су та тај то у уз за што ће"""),
    "el": _language("Greek", "greek", "greek", """
        ο η το οι τα του της των τον την και κι ή να θα δεν μη μην με σε στο στη στην στον στα στις στους από για ως αν που πού πως
        πώς ποιος ποια ποιο τι όταν πότε είναι ήταν έχει είχε ένα ένας μια μία αυτό αυτός αυτή αυτά αλλά όπως κατά μετά προς"""),
    "ar": _language("Arabic", "arabic", "arabic", """
        أن أنه أو إلى إن التي الذي الذين بعد بين حتى حيث ذلك عند عن على في قبل قد كان كانت كل كما كيف لا لم لن له لها ليس ما ماذا
        متى مع من هذا هذه هل هم هو هي و ولا وقد وكان ومن وفي أي أين كم لماذا"""),
    "fa": _language("Persian", "arabic", "persian", """
        از است اما آن این با بر برای بود به تا چه چرا چگونه چند خود در را که کدام کجا کرد کرده کنند می نیز هم هر همه و یا یک شد شده
        شود"""),
    "he": _language("Hebrew", "hebrew", None, """
        של את על לא הוא היא זה עם כי גם אל אם או אני הם יש אין היה היו כל רק מה מי מתי איך איפה למה כמו אבל בין עד"""),
    "hi": _language("Hindi", "devanagari", "hindi", """
        का की के को में से है हैं था थी थे और या पर ने यह वह ये वे इस उस इन उन एक भी तो ही कि जो जब तक हो गया गई गए कर करने किया कुछ
        अपने साथ लिए द्वारा नहीं क्या कौन कब कहाँ कहां कैसे क्यों कितने कितनी किस कौन-सा"""),
    "ne": _language("Nepali", "devanagari", "nepali", """
        र छ छन् हो को का की मा ले लाई बाट पनि यो त्यो यी ती यस त्यस एक गर्न गरेको भएको थियो हुन् तथा वा कि के किन कसरी कहाँ कहिले"""),
    "hy": _language("Armenian", "other", "armenian"),
    "eu": _language("Basque", "latin", "basque"),
    "eo": _language("Esperanto", "latin", "esperanto"),
    "et": _language("Estonian", "latin", "estonian"),
    "ga": _language("Irish", "latin", "irish"),
    "lt": _language("Lithuanian", "latin", "lithuanian"),
    "st": _language("Sesotho", "latin", "sesotho"),
    "ta": _language("Tamil", "other", "tamil"),
    "yi": _language("Yiddish", "hebrew", "yiddish"),
    "zh": _language("Chinese", "han", None),
    "ja": _language("Japanese", "han", None),
    "ko": _language("Korean", "hangul", None),
    "th": _language("Thai", "thai", None),
    "lo": _language("Lao", "lao", None),
    "km": _language("Khmer", "khmer", None),
    "my": _language("Burmese", "myanmar", None),
}  # fmt: skip

# A text's function words name these. The others must be asked for: too little of their own is known here.
DETECTED = tuple(code for code, language in LANGUAGES.items() if language.stop_words)
