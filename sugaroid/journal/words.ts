type Words = readonly [string, ...string[]]

/** What children call their work, where they do: with accents, without Latin letters, with emoji and quotes. */
export const titles: Words = [
  'Mi primer día de clase',
  'La niña y el ñandú',
  'El ciclo del agua',
  'Fotos del paseo a la montaña',
  'Cuento: el zorro y la perdiz',
  '¿Cómo crece el maíz?',
  'Tarea de matemática 3º B',
  'Canción de cumpleaños 🎂',
  'Che róga',
  'Ñandutí ha mborayhu',
  'Wasiymanta willakuy',
  'Jiwasan yatiqañasa',
  'My family tree',
  'Volcano experiment (2nd try)',
  "Grandma's recipe",
  'Spelling list week 12',
  'Solar system <draft>',
  'Le cycle de la vie d’un papillon',
  'Ma maison à Port-au-Prince',
  'Lekòl mwen an',
  'Meu livro de histórias',
  'A formiguinha e a neve',
  'Mein Stundenplan für März',
  'Οι διακοπές μου',
  'Моя семья',
  'Миний гэр бүл',
  'मेरो गाउँको कथा',
  'मेरा विद्यालय',
  'আমার ছবি',
  'என் கிராமம்',
  'ភូមិរបស់ខ្ញុំ',
  'የኔ ቤተሰብ',
  'عائلتي ومدرستي',
  'بيتنا الجديد',
  'המשפחה שלי',
  '我的家乡',
  'わたしのまち',
  'Umuryango wanjye',
  'Familia yangu na shule',
  'Việt Nam quê hương tôi',
]

export const tags: Words = ['escuela', 'tarea', 'ciencias naturales', 'homework', 'família', 'गणित', 'صور']

export const nicknames: Words = [
  'Ana',
  'José Luis',
  'Wanjikũ',
  'Ñusta',
  'Aarav',
  'आरती',
  'محمد',
  'Thảo',
  'Батбаяр',
]

/** Pairs of colours, stroke and fill, of the little figure that stands for a child. */
export const colours: Words = [
  '#B20008,#FF2B34',
  '#FF2B34,#B20008',
  '#E6000A,#FF8F00',
  '#FF8F00,#00A0FF',
  '#9A5200,#FFC169',
  '#F8E800,#00B20D',
  '#008009,#8BFF7A',
  '#00EA11,#5E008C',
  '#00588C,#FFFA00',
  '#005FE4,#BCCDFF',
  '#5E008C,#9900E6',
  '#AC32FF,#F8E800',
]

/** What prose is made of: common words of several schools. */
export const vocabulary = (
  'el la los las de que y en un una por con para como más pero sus este cuando muy sin sobre también hasta ' +
  'hay donde desde todo nos durante uno ni contra otros ese eso ante ellos agua tierra maíz escuela niño niña ' +
  'maestra cuaderno lápiz montaña río pueblo sol luna estrella casa perro gato pájaro árbol flor fruta the of ' +
  'and to is was for on are with they at be this from have or had by but some what there we can out other were ' +
  'all your when up use word how said each she which their time if will way about many then them would write ' +
  'like so these her long make thing see him two has look more day could go come did my sound no most number ' +
  'le les des est dans qui pour pas vous sur avec son ma mes école élève soleil forêt мой дом школа учитель ' +
  'река лес звезда मेरो घर गाउँ पानी सूर्य विद्यालय किताब 学校 老师 朋友 山 水 太阳'
).split(' ') as [string, ...string[]]
